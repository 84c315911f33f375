// What each tab's page was answered by, and the badge that says so.

import { api } from "./api.js";
import { answered, badgeOf, opened, unknown } from "./page.js";
import { siteOf } from "./site.js";

/** Answers come in bursts: what is kept and shown follows after this many milliseconds. */
const PAUSE = 100;

export class Answers {
  settings = { on: false, key: "", sites: [] };
  #pages = {};
  #read;
  #waiting = new Set();

  /** What was known before the browser ended this script. */
  #known() {
    this.#read ??= api.storage.session.get({ pages: {} }).then(({ pages }) => {
      this.#pages = pages;
    });
    return this.#read;
  }

  /** A tab goes to another page. A redirect is still the same way there. */
  async begin({ tabId, requestId, url }) {
    await this.#known();
    if (!this.#named(url) || this.#pages[tabId]?.request === requestId) return;
    this.#pages[tabId] = { ...opened(url, this.settings.key), request: requestId };
    this.#later(tabId);
  }

  /** A tab is at a page, whose address is known only where its site is allowed. */
  async at(tab, url) {
    await this.#known();
    if (url === undefined || !this.#named(url)) await this.forget(tab);
    await this.show(tab);
  }

  /** A response's head has come, for a page or something on it. */
  async came({ tabId, url, initiator, originUrl, responseHeaders }) {
    await this.#known();
    if (!this.#named(url)) return;
    for (const tab of tabId === -1 ? await tabsOf(initiator ?? originUrl) : [tabId]) {
      // Of a page that came from a service worker, say, there was no beginning.
      answered((this.#pages[tab] ??= unknown()), responseHeaders);
      this.#later(tab);
    }
  }

  async forget(tab) {
    await this.#known();
    if (this.#pages[tab] === undefined) return;
    delete this.#pages[tab];
    this.#later(tab);
  }

  async showAll() {
    await this.#known();
    await Promise.all(Object.keys(this.#pages).map((tab) => this.show(Number(tab))));
  }

  async show(tabId) {
    await this.#known();
    const { text, title, colour } = badgeOf(this.#pages[tabId], this.settings);
    const shown = [api.action.setBadgeText({ tabId, text }), api.action.setTitle({ tabId, title })];
    if (colour) shown.push(api.action.setBadgeBackgroundColor({ tabId, color: colour }));
    // A tab may be closed at any time, and then there is nothing to show.
    await Promise.all(shown).catch(() => {});
  }

  #named(url) {
    return siteOf(this.settings.sites, url) !== undefined;
  }

  #later(tab) {
    if (this.#waiting.size === 0) setTimeout(() => this.#now(), PAUSE);
    this.#waiting.add(tab);
  }

  async #now() {
    const tabs = [...this.#waiting];
    this.#waiting.clear();
    await api.storage.session.set({ pages: this.#pages });
    await Promise.all(tabs.map((tab) => this.show(tab)));
  }
}

/** A service worker asks for all pages of its site. */
async function tabsOf(origin) {
  if (!origin || !URL.canParse(origin)) return [];
  const tabs = await api.tabs.query({ url: `*://${new URL(origin).hostname}/*` });
  return tabs.map((tab) => tab.id);
}
