// The functions of values: keys, sites, rules, words.

import assert from "node:assert/strict";
import { test } from "node:test";

import { keyOfLink, parseKey } from "../../../extension/key.js";
import { answered, badgeOf, opened, wordsOf } from "../../../extension/page.js";
import { rulesOf } from "../../../extension/rules.js";
import { originsOf, parseSite, patternOf, siteOf } from "../../../extension/site.js";

test("keys are those of Byway", () => {
  for (const key of ["pr-42", "a", "A.b_c-9", "x".repeat(63)]) assert.equal(parseKey(` ${key} `), key);
  for (const bad of ["", "-a", "a.", "a b", "a\r\nx: y", "ä", "x".repeat(64), "a,b", "a;b", "{{ key }}"]) {
    assert.throws(() => parseKey(bad), undefined, bad);
  }
});

test("a link carries a key, or none", () => {
  assert.equal(keyOfLink("https://shop.example.com/a?b=c&byway-key=pr-42#d"), "pr-42");
  for (const url of [
    "https://a/?byway-key=",
    "https://a/?byway-key=a%0ab",
    "https://a/?x=byway-key=pr-1",
    "https://a/#?byway-key=pr-1",
    "no url",
  ]) {
    assert.equal(keyOfLink(url), undefined, url);
  }
});

test("sites are hosts, however they are typed", () => {
  const same = {
    "shop.example.com": "shop.example.com",
    "https://Shop.example.com:8443/cart?x": "shop.example.com",
    "localhost:3000": "localhost",
    "10.0.0.7": "10.0.0.7",
    "http://[::1]:80/": "[::1]",
    "*.preview.example.com": "*.preview.example.com",
    "https://*.a.example/": "*.a.example",
    "bücher.example": "xn--bcher-kva.example",
    "user:secret@shop.example.com": "shop.example.com",
    "*.localhost": "*.localhost",
  };
  for (const [typed, site] of Object.entries(same)) assert.equal(parseSite(typed), site);
  for (const bad of [
    "",
    "*",
    "*.com",
    "*://*/*",
    "<all_urls>",
    "a b",
    "ftp://a.example",
    "chrome://extensions",
    "a.*.example",
    "*.10.0.0.7",
    "a*.example",
    ".",
  ]) {
    assert.throws(() => parseSite(bad), undefined, bad);
  }
});

test("a site is that host and no other", () => {
  const sites = ["shop.example.com", "*.preview.example.com", "[::1]"];
  const inside = {
    "https://shop.example.com/": 0,
    "ws://shop.example.com:8080/x": 0,
    "http://a.b.preview.example.com/": 1,
    "https://preview.example.com/": 1,
    "http://[::1]:3000/": 2,
  };
  for (const [url, index] of Object.entries(inside)) assert.equal(siteOf(sites, url), sites[index], url);
  for (const url of [
    "https://www.shop.example.com/",
    "https://shop.example.com.evil.example/",
    "https://shopxexample.com/",
    "https://evil.example/?https://shop.example.com/",
    "https://evil.example/shop.example.com/",
    "https://xpreview.example.com/",
    "ftp://shop.example.com/",
    "https://shop.example.com:80@evil.example/",
  ]) {
    assert.equal(siteOf(sites, url), undefined, url);
  }
  assert.deepEqual(originsOf("a.example"), ["*://a.example/*", "ws://a.example/*", "wss://a.example/*"]);
  assert.equal(patternOf("a.example"), "^(https?|wss?)://a\\.example(:[0-9]+)?/");
});

test("there are rules only while it is on and has a key", () => {
  const set = { on: true, key: "pr-1", sites: ["a.example", "b.example"] };
  assert.deepEqual(rulesOf({ ...set, on: false }, []), []);
  assert.deepEqual(rulesOf({ ...set, key: "" }, []), []);
  const rules = rulesOf(set, ["main_frame"]);
  assert.deepEqual(
    rules.map((it) => it.id),
    [1, 2],
  );
  assert.deepEqual(rules[0].action.requestHeaders, [
    { header: "x-byway-key", operation: "set", value: "pr-1" },
  ]);
});

test("what is said of a page", () => {
  const now = { on: true, key: "pr-1" };
  const page = opened("https://a.example/?byway-key=pr-1", "pr-1");
  assert.deepEqual([badgeOf(page, now).text, wordsOf(page)], ["–", ["Nothing has been asked yet."]]);
  answered(page, []);
  assert.deepEqual(wordsOf(page), ["No preview answered the browser itself."]);
  answered(page, [{ name: "X-Byway-Preview", value: "shop/web" }]);
  assert.deepEqual([badgeOf(page, now).text, wordsOf(page)], ["✓", ["shop/web answered 1 of 2 requests."]]);
  answered(page, [{ name: "x-byway-preview", value: "shop/cart" }]);
  assert.deepEqual(
    [badgeOf(page, now).text, badgeOf(page, now).title],
    ["2", "Byway: answered by shop/web, shop/cart"],
  );
  answered(page, [{ name: "x-byway-error", value: "BadChunk" }]);
  assert.deepEqual([badgeOf(page, now).text, wordsOf(page)[0]], ["!", "Byway refused a request (BadChunk)."]);
  answered(page, [{ name: "x-byway-error", value: "no-answer" }]);
  assert.equal(wordsOf(page)[0], "The preview did not answer.");
  assert.equal(badgeOf(page, { ...now, on: false }).text, "");
  assert.equal(badgeOf(opened("https://a.example/?byway-key=pr-2", "pr-1"), now).text, "key");
  assert.equal(badgeOf(undefined, now).text, "");
});

test("what no preview can be called is not shown, and not kept", () => {
  const page = opened("https://a.example/", "pr-1");
  for (const value of ["", "__proto__", "a b/c", "<b>/c", `a/${"x".repeat(254)}`])
    answered(page, [{ name: "x-byway-preview", value }]);
  answered(page, [{ name: "x-byway-error", value: "<img src=x>" }]);
  assert.deepEqual([page.answers, page.silent, page.error], [{}, 6, ""]);
  for (let n = 0; n < 100; n += 1) answered(page, [{ name: "x-byway-preview", value: `a/p-${n}` }]);
  assert.equal(Object.keys(page.answers).length, 20);
});
