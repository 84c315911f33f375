// Firefox with the extension in it, driven over Marionette, the protocol that it has for its own tests.
'use strict';

const { spawn } = require('child_process');
const { mkdtempSync, readFileSync, rmSync, writeFileSync } = require('fs');
const { connect } = require('net');
const { tmpdir } = require('os');
const { join, resolve } = require('path');

const EXTENSION = resolve(__dirname, '../../../extension');
const ID = 'byway@byway.dev';
/** Firefox gives each extension an address of its own; here it is always the same. */
const HOST = '6d1a8f0e-2f5b-4f0e-9d57-0c4f5a9be001';
const PATIENCE = 30_000;

class Firefox {
  static async start(address) {
    const firefox = new Firefox();
    firefox.profile = mkdtempSync(join(tmpdir(), 'byway-firefox-'));
    const settings = {
      'marionette.port': 0,
      'network.dns.forceResolve': address,
      'dom.serviceWorkers.testing.enabled': true,
      'extensions.webextensions.uuids': JSON.stringify({ [ID]: HOST }),
      // The user says yes to whatever site is asked for: the question is no page, which a program could
      // answer.
      'extensions.webextOptionalPermissionPrompts': false,
    };
    const lines = Object.entries(settings).map(
      ([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});`,
    );
    writeFileSync(join(firefox.profile, 'user.js'), lines.join('\n'));
    firefox.process = spawn(
      process.env.BYWAY_FIREFOX,
      [
        '--headless',
        '--marionette',
        '--remote-allow-system-access',
        '--no-remote',
        '--profile',
        firefox.profile,
      ],
      { stdio: 'ignore', env: { ...process.env, HOME: firefox.profile } },
    );
    firefox.socket = await firefox.#connect();
    firefox.#listen();
    await firefox.send('WebDriver:NewSession', {});
    await firefox.send('Addon:Install', { path: EXTENSION, temporary: true });
    return firefox;
  }

  async end() {
    const ended = new Promise((done) => this.process.once('exit', done));
    await this.send('Marionette:Quit', { flags: ['eForceQuit'] }).catch(() => this.process.kill('SIGKILL'));
    await ended;
    rmSync(this.profile, { recursive: true, force: true });
  }

  go(url) {
    return this.send('WebDriver:Navigate', { url });
  }

  /** In a tab of its own. A page cannot go there, but the browser can. */
  async options() {
    const before = await this.send('WebDriver:GetWindowHandles', {});
    await this.send('Marionette:SetContext', { value: 'chrome' });
    const script = `gBrowser.selectedTab = gBrowser.addTab('moz-extension://${HOST}/popup.html',
      { triggeringPrincipal: Services.scriptSecurityManager.getSystemPrincipal() });`;
    await this.send('WebDriver:ExecuteScript', { script, args: [] });
    await this.send('Marionette:SetContext', { value: 'content' });
    for (;;) {
      const handle = (await this.send('WebDriver:GetWindowHandles', {})).find((it) => !before.includes(it));
      if (handle !== undefined) await this.send('WebDriver:SwitchToWindow', { handle });
      if (handle !== undefined) break;
    }
    await this.until("document.querySelector('#sites li, #sites-none:not([hidden])') !== null", true);
  }

  /** Types into a field, and presses Enter. */
  async type(field, text) {
    const { value } = await this.send('WebDriver:FindElement', { using: 'css selector', value: field });
    await this.send('WebDriver:ElementSendKeys', { id: Object.values(value)[0], text: `${text}\uE007` });
  }

  /** The value of an expression on the page, once it is resolved. */
  async evaluate(expression) {
    const script = `const done = arguments[0];
      Promise.resolve().then(() => ${expression}).then((value) => done({ value }), (e) => done({ error: String(e) }));`;
    const { value } = await this.send('WebDriver:ExecuteAsyncScript', { script, args: [], sandbox: null });
    if (value?.error) throw new Error(`${expression}: ${value.error}`);
    return value?.value; // Of a page that is being left there is none.
  }

  async until(expression, wanted) {
    let value;
    for (const end = Date.now() + PATIENCE; Date.now() < end;) {
      value = await this.evaluate(expression);
      if (JSON.stringify(value) === JSON.stringify(wanted)) return;
      await new Promise((done) => setTimeout(done, 50));
    }
    throw new Error(`${expression} is ${JSON.stringify(value)}, not ${JSON.stringify(wanted)}`);
  }

  send(name, params) {
    const id = (this.sent += 1);
    const text = JSON.stringify([0, id, name, params]);
    this.socket.write(`${Buffer.byteLength(text)}:${text}`);
    return new Promise((done, fail) => this.waiting.set(id, [done, fail]));
  }

  sent = 0;
  waiting = new Map();

  /** It writes down which port it took. */
  async #connect() {
    for (const end = Date.now() + PATIENCE; Date.now() < end;) {
      await new Promise((done) => setTimeout(done, 50));
      try {
        const port = Number(readFileSync(join(this.profile, 'MarionetteActivePort'), 'utf8'));
        return await new Promise((done, fail) => {
          const socket = connect(port, '127.0.0.1', () => done(socket));
          socket.once('error', fail);
        });
      } catch {
        /* not yet */
      }
    }
    throw new Error('Firefox does not start');
  }

  /** Messages are `LENGTH:JSON`; the first is a greeting. */
  #listen() {
    let received = Buffer.alloc(0);
    this.socket.on('data', (data) => {
      received = Buffer.concat([received, data]);
      for (;;) {
        const colon = received.indexOf(':');
        const end = colon + 1 + Number(received.subarray(0, colon));
        if (colon === -1 || received.length < end) return;
        const [, id, error, result] = Object.values(JSON.parse(received.subarray(colon + 1, end)));
        received = received.subarray(end);
        const [done, fail] = this.waiting.get(id) ?? [];
        this.waiting.delete(id);
        if (error) fail?.(new Error(`${error.error}: ${error.message}`));
        else done?.(result);
      }
    });
    this.socket.on('error', () => {});
    this.socket.on('close', () => this.waiting.forEach(([, fail]) => fail(new Error('Firefox has ended'))));
  }
}

module.exports = { Firefox };
