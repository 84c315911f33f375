// Private windows: the browser keeps extensions out of them until the user lets one in.
'use strict';

const assert = require('node:assert/strict');
const { after, before, test } = require('node:test');
const { Browser } = require('./browser.cjs');
const { arrived, at } = require('./site.cjs');

let browser;
before(async () => {
  browser = await Browser.start();
  await browser.sayYes();
  await browser.set({ sites: ['shop.test'], key: 'pr-1' });
});
after(() => browser.end());

async function openPrivate(path) {
  const options = await browser.options();
  await options.evaluate((url) => chrome.windows.create({ incognito: true, url }), at('shop.test', path));
  return arrived(path);
}

test('a private window gets no key', async () => {
  assert.deepEqual(
    (await openPrivate('/private')).map((it) => [it.server, it.key]),
    [['STABLE', undefined]],
  );
});

test('unless the user allows the extension there', async () => {
  await browser.onExtensionsPage((extensionId) =>
    chrome.developerPrivate.updateExtensionConfiguration({ extensionId, incognitoAccess: true }),
  );
  browser = await browser.restarted(); // It wants to load the extension anew.
  await browser.until(() => browser.worker.evaluate(() => chrome.extension.isAllowedIncognitoAccess()));
  await browser.settled();
  assert.deepEqual(
    (await openPrivate('/let-in')).map((it) => [it.server, it.key]),
    [['PREVIEW', 'pr-1']],
  );
});
