// Chromium with the extension in it, as the tests use it.
'use strict';

const { mkdtempSync, mkdirSync, rmSync } = require('fs');
const { tmpdir } = require('os');
const { join, resolve } = require('path');
const { chromium } = require('playwright-core');
const { address, at, pictures } = require('./site.cjs');

const EXTENSION = resolve(__dirname, '../../../extension');
const PATIENCE = 10_000;
/** Of the popup. */
const WIDTH = 352;

class Browser {
  static async start(profile = mkdtempSync(join(tmpdir(), 'byway-browser-'))) {
    const browser = new Browser();
    browser.profile = profile;
    browser.context = await chromium.launchPersistentContext(profile, {
      executablePath: process.env.BYWAY_CHROMIUM,
      // Of its library for headless tests; what is tested is the browser that people have, without a window.
      headless: false,
      args: [
        '--headless=new',
        '--no-sandbox',
        `--disable-extensions-except=${EXTENSION}`,
        `--load-extension=${EXTENSION}`,
        `--host-resolver-rules=MAP *.test ${address}`,
        // Service workers are for such origins only.
        `--unsafely-treat-insecure-origin-as-secure=${at('shop.test', '')}`,
      ],
      viewport: { width: WIDTH, height: 640 },
    });
    browser.worker =
      browser.context.serviceWorkers()[0] ?? (await browser.context.waitForEvent('serviceworker'));
    browser.id = new URL(browser.worker.url()).host;
    return browser;
  }

  async end() {
    await this.context.close();
    rmSync(this.profile, { recursive: true, force: true });
  }

  /** Closes it and starts it again, with the same profile. */
  async restarted() {
    await this.context.close();
    return Browser.start(this.profile);
  }

  /**
   * From now on the user says yes to whatever site is asked for. The question is a window of the browser's
   * own, which no program can answer; the page of extensions can answer it beforehand. What is not asked for
   * is not allowed by this.
   */
  async sayYes() {
    await this.onExtensionsPage((id) => chrome.developerPrivate.addHostPermission(id, '<all_urls>'));
  }

  async onExtensionsPage(act) {
    const page = await this.context.newPage();
    await page.goto('chrome://extensions');
    await page.evaluate(act, this.id);
    await page.close();
  }

  /**
   * Ends the extension's worker, as the browser does after half a minute without work, and starts it by what
   * `act` does.
   */
  async idle(act) {
    const session = await this.context.browser().newBrowserCDPSession();
    const worker = async () => {
      const { targetInfos } = await session.send('Target.getTargets');
      return targetInfos.find((it) => it.type === 'service_worker' && it.url.includes(this.id))?.targetId;
    };
    await this.until(async () => {
      // Again, where a late event has started it again. It may then have the same id.
      const targetId = await worker();
      if (targetId) await session.send('Target.closeTarget', { targetId });
      return !targetId;
    });
    await act();
    await this.until(async () => (await worker()) !== undefined);
    await this.until(() => {
      this.worker = this.context.serviceWorkers().findLast((it) => it.url().includes(this.id));
      return this.worker;
    });
  }

  open(url) {
    return this.context.newPage().then(async (page) => {
      await page.goto(url);
      return page;
    });
  }

  /** The popup's page in a tab, as the options are. */
  async options() {
    const page = await this.open(`chrome-extension://${this.id}/popup.html`);
    await page.locator('#sites li, #sites-none:not([hidden])').first().waitFor();
    return page;
  }

  /**
   * The same over a tab, as a click on the icon opens it. That click cannot be made by a program; with it the
   * browser tells the extension the tab's address, also of a site that is not allowed.
   */
  async popupOver(url) {
    const id = await this.worker.evaluate(
      async (wanted) => (await chrome.tabs.query({})).find((it) => it.url === wanted)?.id,
      url,
    );
    const page = await this.context.newPage();
    await page.addInitScript(
      (tab) => {
        chrome.tabs.query = async () => [tab];
      },
      { id, url },
    );
    await page.goto(`chrome-extension://${this.id}/popup.html`);
    await page.locator('#here p').first().waitFor({ state: 'attached' });
    return page;
  }

  /** The text of the popup itself, over the page that is in front. The library does not know popups. */
  async popup() {
    const session = await this.context.browser().newBrowserCDPSession();
    await this.worker.evaluate(() => chrome.action.openPopup());
    let popup;
    await this.until(async () => {
      const { targetInfos } = await session.send('Target.getTargets');
      popup = targetInfos.find((it) => it.url.endsWith('/popup.html') && !it.attached);
      return popup;
    });
    const { sessionId } = await session.send('Target.attachToTarget', {
      targetId: popup.targetId,
      flatten: false,
    });
    let text = '';
    session.on('Target.receivedMessageFromTarget', ({ message }) => {
      text = JSON.parse(message).result.result.value;
    });
    await this.until(async () => {
      const message = {
        id: 1,
        method: 'Runtime.evaluate',
        params: { expression: "document.getElementById('here').innerText" },
      };
      await session.send('Target.sendMessageToTarget', { sessionId, message: JSON.stringify(message) });
      return text !== '';
    });
    await session.send('Target.closeTarget', { targetId: popup.targetId });
    await session.detach();
    return text;
  }

  /** The options with this set, by keyboard. */
  async set({ sites = [], key }) {
    const options = await this.options();
    for (const site of sites) {
      await options.locator('#site').fill(site);
      await options.keyboard.press('Enter');
      await options.getByRole('button', { name: `Remove ${site}` }).waitFor();
      await options.locator('#site').evaluate(
        (it) =>
          new Promise((done) => {
            const look = () => (it.value === '' ? done() : requestAnimationFrame(look));
            look();
          }),
      );
    }
    if (key !== undefined) {
      await options.locator('#key').fill(key);
      await options.keyboard.press('Enter');
      await this.until(async () => (await this.stored('sync')).key === key);
    }
    await this.settled();
    return options;
  }

  /** Switches it on or off in the options. */
  async turn(options, on) {
    await options.getByRole('switch').setChecked(on);
    await this.until(async () => (await this.stored('local')).on === on);
    await this.settled();
  }

  stored(area) {
    return this.worker.evaluate((it) => chrome.storage[it].get(), area);
  }

  /** The rules are those of what is set. */
  settled() {
    return this.until(async () => {
      const { sites = [], key = '' } = await this.stored('sync');
      const { on = true } = await this.stored('local');
      const rules = await this.worker.evaluate(() => chrome.declarativeNetRequest.getDynamicRules());
      const keys = rules.map((rule) => rule.action.requestHeaders[0].value);
      return keys.length === (on && key ? sites.length : 0) && keys.every((it) => it === key);
    });
  }

  /** The badge of the tab that shows this address, as soon as it is `text`; and what is said of it. */
  async badge(url, text) {
    let shown;
    await this.until(
      async () => {
        shown = await this.worker.evaluate(async (wanted) => {
          const [tab] = (await chrome.tabs.query({})).filter((it) => it.url === wanted);
          const tabId = tab?.id;
          return (
            tab && [await chrome.action.getBadgeText({ tabId }), await chrome.action.getTitle({ tabId })]
          );
        }, url);
        return shown?.[0] === text;
      },
      () => `the badge of ${url} is ${JSON.stringify(shown)}, not ${text}`,
    );
    return shown[1];
  }

  async until(holds, why = () => String(holds)) {
    for (const end = Date.now() + PATIENCE; Date.now() < end;) {
      if (await holds()) return;
      await new Promise((done) => setTimeout(done, 50));
    }
    throw new Error(`not in time: ${why()}`);
  }
}

/** Keeps a picture of a page. */
async function picture(page, name) {
  mkdirSync(pictures, { recursive: true });
  // With a bar to scroll it would be narrower.
  const height = await page.evaluate(() => document.documentElement.scrollHeight);
  await page.setViewportSize({ width: WIDTH, height });
  await page.screenshot({ path: join(pictures, `${name}.png`) });
}

module.exports = { Browser, picture };
