// Which requests get the key, and which do not.
'use strict';

const assert = require('node:assert/strict');
const { after, before, test } = require('node:test');
const { Browser } = require('./browser.cjs');
const { arrived, asked, at } = require('./site.cjs');

let browser;
before(async () => {
  browser = await Browser.start();
});
after(() => browser.end());

const said = (page) => page.locator('h1').textContent();
const fetched = (page, url, options) =>
  page.evaluate(([it, how]) => fetch(it, how).then((answer) => answer.text()), [url, options]);

test('nothing is sent before a site is named', async () => {
  const page = await browser.open(at('shop.test', '/before'));
  assert.equal(await said(page), 'STABLE');
  assert.deepEqual(
    asked('/before').map((it) => it.key),
    [undefined],
  );
});

test('nor before the user has allowed it', async () => {
  const options = await browser.options();
  await options.locator('#key').fill('pr-1');
  await options.keyboard.press('Enter');
  await options.locator('#site').fill('shop.test');
  await options.keyboard.press('Enter');
  await options.getByText('not allowed').waitFor();
  await browser.settled();
  const page = await browser.open(at('shop.test', '/asking'));
  assert.equal(await said(page), 'STABLE');
  // Nobody answers the question: the browser is closed with it, and started anew.
  browser = await browser.restarted();
  await browser.sayYes();
  const again = await browser.options();
  await again.getByRole('button', { name: 'Allow shop.test' }).click();
  await again.getByText('not allowed').waitFor({ state: 'detached' });
});

test('then a page is the preview’s', async () => {
  await browser.set({ sites: ['api.test'] });
  const page = await browser.open(at('shop.test', '/'));
  assert.equal(await said(page), 'PREVIEW');
});

test('and all that it asks the site for', async () => {
  const page = await browser.open(at('shop.test', '/'));
  await page.evaluate(() => {
    const add = (name, attributes) =>
      document.body.append(Object.assign(document.createElement(name), attributes));
    add('img', { src: '/image' });
    add('script', { src: '/script.js' });
    add('link', { rel: 'stylesheet', href: '/style.css' });
    add('iframe', { src: '/frame' });
    add('video', { src: '/video' });
    add('object', { data: '/object' });
    add('form', { action: '/form', method: 'post', target: 'other' });
    add('iframe', { name: 'other' });
    document.forms[0].submit();
    new FontFace('x', 'url(/font)').load().catch(() => {}); // it is none
    fetch('/fetch', { method: 'PUT', body: 'x' });
    const request = new XMLHttpRequest();
    request.open('GET', '/xhr');
    request.send();
    navigator.sendBeacon('/beacon', 'x');
    new EventSource('/events');
    new Worker(URL.createObjectURL(new Blob([`fetch('${location.origin}/worker')`])));
  });
  const paths = [
    '/image',
    '/script.js',
    '/style.css',
    '/frame',
    '/video',
    '/object',
    '/form',
    '/font',
    '/fetch',
    '/xhr',
    '/beacon',
    '/events',
    '/worker',
  ];
  for (const path of paths) {
    for (const { server, key } of await arrived(path))
      assert.deepEqual([path, server, key], [path, 'PREVIEW', 'pr-1']);
  }
});

test('WebSockets', async () => {
  const page = await browser.open(at('shop.test', '/'));
  const greeting = await page.evaluate(
    (url) =>
      new Promise((done, fail) => {
        const socket = new WebSocket(url);
        socket.onmessage = ({ data }) => done(data);
        socket.onerror = () => fail(new Error('no WebSocket'));
      }),
    at('shop.test', '/socket').replace('http', 'ws'),
  );
  assert.equal(greeting, 'PREVIEW');
});

test('a service worker’s requests, and the badge knows of them', async () => {
  const page = await browser.open(at('shop.test', '/worker-page'));
  await page.evaluate(async () => {
    await navigator.serviceWorker.register('/worker.js');
    await navigator.serviceWorker.ready;
  });
  await page.goto(at('shop.test', '/by-worker'));
  assert.equal(await said(page), 'PREVIEW');
  assert.deepEqual(
    asked('/by-worker').map((it) => it.key),
    ['pr-1'],
  );
  assert.equal(await fetched(page, '/text'), 'PREVIEW');
  assert.match(await browser.badge(at('shop.test', '/by-worker'), '✓'), /answered by demo\/redesign/);
  await page.evaluate(async () => (await navigator.serviceWorker.ready).unregister());
});

test('preflights go where the requests go that they are for', async () => {
  const page = await browser.open(at('shop.test', '/'));
  assert.equal(await fetched(page, at('api.test', '/text?simple')), 'PREVIEW');
  assert.equal(
    await fetched(page, at('api.test', '/text?preflight'), { headers: { 'x-app': '1' } }),
    'PREVIEW',
  );
  const seen = asked('/text').filter((it) => it.host.startsWith('api.'));
  assert.deepEqual(
    seen.map(({ method, url, server, key }) => [method, url, server, key]),
    [
      // Our header asks for no preflight where there would be none.
      ['GET', '/text?simple', 'PREVIEW', 'pr-1'],
      ['OPTIONS', '/text?preflight', 'PREVIEW', 'pr-1'],
      ['GET', '/text?preflight', 'PREVIEW', 'pr-1'],
    ],
  );
});

test('a link from another site leads to the preview', async () => {
  const page = await browser.open(at('other.test', '/'));
  await page.evaluate(
    (href) => {
      document.body.append(Object.assign(document.createElement('a'), { href, textContent: 'to the shop' }));
    },
    at('shop.test', '/linked'),
  );
  await page.getByText('to the shop').click();
  await page.waitForURL(at('shop.test', '/linked'));
  assert.equal(await said(page), 'PREVIEW');
});

test('no other site gets it', async () => {
  const hosts = ['other.test', 'www.shop.test', 'shop.test.other.test', 'notshop.test'];
  for (const host of hosts) {
    const page = await browser.open(at(host, `/elsewhere?${at('shop.test', '/')}`));
    assert.equal(await said(page), 'STABLE', host);
  }
  assert.deepEqual(
    asked('/elsewhere').map(({ host, key }) => [host.split(':')[0], key]),
    hosts.map((it) => [it, undefined]),
  );
  // Nor by the way of a site that does.
  const page = await browser.open(
    at('shop.test', `/to?url=${encodeURIComponent(at('other.test', '/redirected'))}`),
  );
  assert.equal(await said(page), 'STABLE');
  const shop = await browser.open(at('shop.test', '/'));
  assert.equal(await fetched(shop, at('other.test', '/text?from-shop')), 'STABLE');
  for (const { key } of [
    ...asked('/redirected'),
    ...asked('/text').filter((it) => it.url.endsWith('from-shop')),
  ]) {
    assert.equal(key, undefined);
  }
});

test('what another site asks a named one for gets none, but a frame is a page of the named one', async () => {
  const page = await browser.open(at('other.test', '/'));
  assert.equal(
    await fetched(page, at('shop.test', '/text?from-other'), { headers: { 'x-app': '1' } }),
    'STABLE',
  );
  assert.ok(
    asked('/text')
      .filter((it) => it.url.endsWith('from-other'))
      .every((it) => it.key === undefined),
  );
  await page.evaluate(
    (src) => document.body.append(Object.assign(document.createElement('iframe'), { src })),
    at('shop.test', '/framed'),
  );
  assert.deepEqual(
    (await arrived('/framed')).map((it) => it.key),
    ['pr-1'],
  );
});

test('a site with all below it', async () => {
  await browser.set({ sites: ['*.preview.test'] });
  for (const host of ['a.preview.test', 'b.a.preview.test', 'preview.test']) {
    assert.equal(await said(await browser.open(at(host, '/below'))), 'PREVIEW', host);
  }
  assert.equal(await said(await browser.open(at('a-preview.test', '/below'))), 'STABLE');
});

test('another key is another preview, and one that is not live is none', async () => {
  await browser.set({ key: 'pr-2' });
  const page = await browser.open(at('shop.test', '/another'));
  assert.equal(await said(page), 'STABLE');
  assert.deepEqual(
    asked('/another').map((it) => it.key),
    ['pr-2'],
  );
  await browser.set({ key: 'pr-1' });
  await page.reload();
  assert.equal(await said(page), 'PREVIEW');
});

test('switched off, none is sent; and on again', async () => {
  const options = await browser.options();
  const page = await browser.open(at('shop.test', '/switch'));
  await browser.turn(options, false);
  await page.reload();
  assert.equal(await said(page), 'STABLE');
  await browser.turn(options, true);
  await page.reload();
  assert.equal(await said(page), 'PREVIEW');
  assert.deepEqual(
    asked('/switch')
      .map((it) => it.key)
      .sort(),
    ['pr-1', 'pr-1', undefined],
  );
});

test('a browser that starts sends it from its first request on', async () => {
  browser = await browser.restarted();
  const page = await browser.open(at('shop.test', '/restarted'));
  assert.equal(await said(page), 'PREVIEW');
  assert.deepEqual(
    asked('/restarted').map((it) => it.key),
    ['pr-1'],
  );
});

test('what the user sets on another computer holds, but for sites that are not allowed here', async () => {
  await browser.worker.evaluate(() =>
    chrome.storage.sync.set({ key: 'pr-1', sites: ['new.test', 'shop.test'] }),
  );
  await browser.settled();
  assert.equal(await said(await browser.open(at('shop.test', '/synced'))), 'PREVIEW');
  assert.equal(await said(await browser.open(at('new.test', '/synced'))), 'STABLE');
  await (await browser.options()).getByRole('button', { name: 'Allow new.test' }).waitFor();
});

test('a site that is removed gets none, and its permission goes', async () => {
  const options = await browser.options();
  await options.getByRole('button', { name: 'Remove shop.test' }).click();
  await options.getByRole('button', { name: 'Remove shop.test' }).waitFor({ state: 'detached' });
  await browser.settled();
  assert.equal(await said(await browser.open(at('shop.test', '/removed'))), 'STABLE');
  const { origins } = await browser.worker.evaluate(() => chrome.permissions.getAll());
  assert.deepEqual(
    origins.filter((it) => it.includes('//shop.test/')),
    [],
  );
});
