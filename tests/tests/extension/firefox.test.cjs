// The same extension in Firefox: what it does with requests, and what it says of them.
'use strict';

const assert = require('node:assert/strict');
const { after, before, test } = require('node:test');
const { address, arrived, asked, at } = require('./site.cjs');
const { Firefox } = require('./firefox.cjs');

let firefox;
before(async () => {
  firefox = await Firefox.start(address);
});
after(() => firefox.end());

const NAME = "document.querySelector('h1').textContent";
const badge = () => `browser.tabs.query({}).then(async (tabs) => {
  const [tab] = tabs.filter((it) => it.url?.includes('shop.test'));
  const tabId = tab?.id;
  return [await browser.action.getBadgeText({ tabId }), await browser.action.getTitle({ tabId })];
})`;

test('a site and a key are set', async () => {
  await firefox.options();
  await firefox.type('#site', 'shop.test');
  await firefox.until('browser.storage.sync.get().then((it) => it.sites)', ['shop.test']);
  await firefox.until("document.getElementById('sites').innerText.includes('not allowed')", false);
  await firefox.type('#key', 'pr-1');
  await firefox.until('browser.declarativeNetRequest.getDynamicRules().then((it) => it.length)', 1);
});

test('the page and what it asks for are the preview’s', async () => {
  await firefox.go(at('shop.test', '/firefox'));
  assert.equal(await firefox.evaluate(NAME), 'PREVIEW');
  for (const how of ["new Image().src = '/firefox-image'", "navigator.sendBeacon('/firefox-beacon', 'x')"])
    await firefox.evaluate(how);
  assert.equal(
    await firefox
      .evaluate("fetch('/firefox-text').then((it) => it.text())")
      .then((it) => it.includes('PREVIEW')),
    true,
  );
  for (const path of ['/firefox-image', '/firefox-beacon', '/firefox-text']) {
    assert.deepEqual(
      (await arrived(path)).map((it) => [it.server, it.key]),
      [['PREVIEW', 'pr-1']],
      path,
    );
  }
});

test('WebSockets', async () => {
  const url = at('shop.test', '/firefox-socket').replace('http', 'ws');
  const greeting = `new Promise((done) => { new WebSocket('${url}').onmessage = ({ data }) => done(data); })`;
  assert.equal(await firefox.evaluate(greeting), 'PREVIEW');
});

test('a service worker’s requests', async () => {
  await firefox.evaluate(
    "navigator.serviceWorker.register('/worker.js').then(() => navigator.serviceWorker.ready).then(() => 1)",
  );
  await firefox.go(at('shop.test', '/firefox-by-worker'));
  assert.equal(await firefox.evaluate(NAME), 'PREVIEW');
  assert.ok(asked('/firefox-by-worker').every((it) => it.key === 'pr-1'));
  await firefox.evaluate('navigator.serviceWorker.ready.then((it) => it.unregister())');
});

test('no other site gets it', async () => {
  for (const host of ['other.test', 'www.shop.test']) {
    await firefox.go(at(host, '/firefox-elsewhere'));
    assert.equal(await firefox.evaluate(NAME), 'STABLE', host);
  }
  await firefox.evaluate(`fetch('${at('shop.test', '/firefox-from-other')}').then(() => 1)`);
  const seen = [...asked('/firefox-elsewhere'), ...asked('/firefox-from-other')];
  assert.deepEqual(
    seen.map((it) => it.key),
    [undefined, undefined, undefined],
  );
});

test('the badge says which preview answered', async () => {
  await firefox.go(at('shop.test', '/firefox-badge'));
  const { handle } = await firefox.send('WebDriver:NewWindow', { type: 'tab' });
  await firefox.send('WebDriver:SwitchToWindow', { handle });
  await firefox.options();
  await firefox.until(badge(), ['✓', 'Byway: answered by demo/redesign']);
});

test('switched off, none is sent', async () => {
  await firefox.evaluate("document.getElementById('on').click()");
  await firefox.until('browser.declarativeNetRequest.getDynamicRules().then((it) => it.length)', 0);
  await firefox.go(at('shop.test', '/firefox-off'));
  assert.equal(await firefox.evaluate(NAME), 'STABLE');
});

test('a site that is removed is no longer allowed', async () => {
  await firefox.options();
  await firefox.evaluate("document.querySelector('#sites button:last-of-type').click()");
  await firefox.until('browser.permissions.getAll().then((it) => it.origins)', []);
});
