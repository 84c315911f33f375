// The popup and the badge: what they say, by keyboard, to a screen reader, in light and dark.
'use strict';

const assert = require('node:assert/strict');
const { readFileSync } = require('fs');
const { after, before, test } = require('node:test');
const { Browser, picture } = require('./browser.cjs');
const { asked, at } = require('./site.cjs');

const AXE = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

let browser;
before(async () => {
  browser = await Browser.start();
});
after(() => browser.end());

/** Nothing is wrong for who cannot see, or sees badly; and a picture of it, in light and in dark. */
async function check(page, name) {
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    await picture(page, `${name}-${colorScheme}`);
    await page.evaluate(AXE);
    const { violations } = await page.evaluate(() => axe.run());
    assert.deepEqual(
      violations.map(({ id, nodes }) => [id, nodes.map((it) => it.html)]),
      [],
      `${name}, ${colorScheme}`,
    );
  }
}

const here = (popup) => popup.locator('#here').innerText();

test('before anything is set it says so', async () => {
  const popup = await browser.options();
  assert.match(await popup.locator('main').innerText(), /None yet: no request is changed/);
  await check(popup, 'empty');
});

test('all of it works by keyboard', async () => {
  await browser.sayYes();
  await browser.set({ sites: ['shop.test'], key: 'pr-1' });
  await browser.set({ key: 'pr-2' });
  const popup = await browser.options();
  const names = [];
  for (let step = 0; step < 8; step += 1) {
    await popup.keyboard.press('Tab');
    names.push(
      await popup.evaluate(() => {
        const { ariaLabel, labels, textContent } = document.activeElement;
        return ariaLabel ?? labels?.[0]?.textContent ?? textContent;
      }),
    );
  }
  assert.deepEqual(names, [
    'Send the key',
    'Key',
    'Use',
    'Use the key pr-1',
    'Forget the key pr-1',
    'Remove shop.test',
    'Add a site',
    'Add',
  ]);

  await popup.getByRole('switch').press('Space');
  await browser.until(async () => (await browser.stored('local')).on === false);
  // A key that is chosen is wanted.
  await popup.getByRole('button', { name: 'Use the key pr-1' }).press('Enter');
  await browser.until(() => popup.getByRole('switch').isChecked());
  assert.deepEqual(await browser.stored('sync'), { key: 'pr-1', previous: ['pr-2'], sites: ['shop.test'] });
  await popup.getByRole('button', { name: 'Forget the key pr-2' }).press('Enter');
  // The focus is not lost with the row.
  await popup.locator('#key:focus').waitFor();
  assert.deepEqual((await browser.stored('sync')).previous, []);
});

test('what is no key and no site is refused in words', async () => {
  const popup = await browser.options();
  const says = async (field, text, words) => {
    await popup.locator(`#${field}`).fill(text);
    await popup.keyboard.press('Enter');
    await popup.locator(`#${field}-wrong`).filter({ hasText: words }).waitFor();
    assert.equal(await popup.locator(`#${field}`).getAttribute('aria-invalid'), 'true');
  };
  await says('key', 'pr 1', 'letters, digits');
  await says('key', 'x'.repeat(64), 'this has 64');
  await says('site', 'ftp://shop.test', 'http and https');
  await says('site', '*', 'is no site');
  await says('site', '*.com', 'is too much');
  await check(popup, 'refused');
  assert.deepEqual(await browser.stored('sync'), { key: 'pr-1', previous: [], sites: ['shop.test'] });
});

test('the badge and the popup say which preview answered', async () => {
  const url = at('shop.test', '/answered');
  await browser.open(url);
  assert.equal(await browser.badge(url, '✓'), 'Byway: answered by demo/redesign');
  assert.match(await browser.popup(), /demo\/redesign answered \d+ of \d+ requests?\./);
  await check(await browser.popupOver(url), 'answered');
});

test('also after the browser has ended the idle extension', async () => {
  const page = await browser.open(at('shop.test', '/before-idle'));
  await browser.badge(page.url(), '✓');
  // Once, a page may come before the extension listens again. Then it claims nothing.
  await browser.idle(() => page.goto(at('shop.test', '/after-idle')));
  assert.doesNotMatch(await here(await browser.popupOver(page.url())), /No preview|Nothing/);
  await page.bringToFront();
  await browser.idle(() => page.goto(at('shop.test', '/after-next-idle')));
  await browser.badge(page.url(), '✓');
});

test('that none did', async () => {
  await browser.set({ key: 'pr-2' });
  const url = at('shop.test', '/unanswered');
  await browser.open(url);
  assert.equal(await browser.badge(url, '–'), 'Byway: no preview answered the browser itself');
  assert.match(await here(await browser.popupOver(url)), /No preview answered/);
});

test('and that one could not be reached', async () => {
  await browser.set({ key: 'gone' });
  const url = at('shop.test', '/gone');
  await browser.open(url);
  assert.equal(await browser.badge(url, '!'), 'Byway: the preview could not be reached');
  const popup = await browser.popupOver(url);
  assert.match(await here(popup), /The preview could not be reached\./);
  await check(popup, 'unreachable');
});

test('on another site there is no badge, and the popup offers to add it', async () => {
  await browser.set({ key: 'pr-1' });
  const page = await browser.open(at('shop.test', '/leaving'));
  await browser.badge(page.url(), '✓');
  await page.goto(at('other.test', '/'));
  const badges = () =>
    browser.worker.evaluate(async () => {
      const [tab] = await chrome.tabs.query({ active: true });
      return [tab.url, await chrome.action.getBadgeText({ tabId: tab.id })];
    });
  await browser.until(async () => (await badges()).join() === ',');
  const popup = await browser.popupOver(page.url());
  assert.equal(await here(popup), 'other.test does not get the key.');
  await popup.getByRole('button', { name: 'Add other.test' }).click();
  await popup.getByRole('button', { name: 'Remove other.test' }).waitFor();
  await popup.getByRole('button', { name: 'Remove other.test' }).click();
  await popup.getByRole('button', { name: 'Remove other.test' }).waitFor({ state: 'detached' });
});

test('the page is loaded again, past what the browser has kept', async () => {
  const url = at('shop.test', '/again');
  await browser.open(url);
  const popup = await browser.popupOver(url);
  await popup.getByRole('button', { name: 'Load it again' }).click();
  await browser.until(() => asked('/again').length === 2);
});

test('a link with a key offers it, also where the app leads on from there', async () => {
  for (const path of [
    '/offered?byway-key=pr-3&a=b',
    `/to?byway-key=pr-3&url=${encodeURIComponent(at('shop.test', '/offered-clean'))}`,
  ]) {
    await browser.set({ key: 'pr-1' });
    const page = await browser.open(at('shop.test', path));
    assert.equal(
      await browser.badge(page.url(), 'key'),
      'Byway: this link has the key pr-3. Open to use it.',
    );
    const popup = await browser.popupOver(page.url());
    await check(popup, 'offered');
    await popup.getByRole('button', { name: 'Use this key' }).click();
    await browser.until(async () => (await browser.stored('sync')).key === 'pr-3');
    await popup.locator('#offer').waitFor({ state: 'hidden' });
  }
  assert.equal((await browser.stored('sync')).previous[0], 'pr-1');
});

test('what no key is offers nothing', async () => {
  const page = await browser.open(at('shop.test', '/odd?byway-key=%0d%0ax-evil:%201'));
  await browser.badge(page.url(), '–');
  assert.equal(await (await browser.popupOver(page.url())).locator('#offer').isVisible(), false);
});

test('of a site that is not named, the link is seen when the popup is opened over it', async () => {
  const page = await browser.open(at('new.test', '/?byway-key=pr-4'));
  const popup = await browser.popupOver(page.url());
  await popup.getByRole('button', { name: 'Use this key' }).click();
  await browser.until(async () => (await browser.stored('sync')).key === 'pr-4');
  assert.ok((await browser.stored('sync')).sites.includes('new.test'));
});

test('with much in it nothing is out of place', async () => {
  const sites = Array.from(
    { length: 6 },
    (_, n) => `a-rather-long-name-${n}.of-a-preview-environment.example.com`,
  );
  await browser.worker.evaluate(
    (it) => chrome.storage.sync.set({ sites: it, previous: ['x'.repeat(63), 'pr-1'] }),
    sites,
  );
  const popup = await browser.options();
  await popup.getByRole('button', { name: `Allow ${sites[5]}` }).waitFor();
  assert.ok(
    await popup.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth),
  );
  await check(popup, 'full');
});
