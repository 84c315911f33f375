// The popup, which is the page of options too. It shows what is stored, and stores what the user changes; the
// background script makes rules of it.

import { api } from "./api.js";
import { keyOfLink, parseKey } from "./key.js";
import { wordsOf } from "./page.js";
import * as settings from "./settings.js";
import { parseSite, siteOf } from "./site.js";

const at = (id) => document.getElementById(id);

/**
 * The page that the popup was opened over: of its address the browser tells us where the site is allowed, or
 * with the click.
 */
const [tab] = await api.tabs.query({ active: true, currentWindow: true });
const host = hostOf(tab?.url);
let offered;
/** What is stored may change while it is read: what was read before the latest change is not shown. */
let latest = 0;

api.storage.onChanged.addListener(show);
api.permissions.onAdded.addListener(show);
api.permissions.onRemoved.addListener(show);

on("on", "change", (event) => settings.turn(event.target.checked));
on("here-reload", "click", () => api.tabs.reload(tab.id, { bypassCache: true }));
on("here-add", "click", () => add(host));
on("offer-take", "click", async () => {
  const key = offered;
  await add(host);
  await settings.takeKey(key);
});
onForm("key", async (text) => settings.takeKey(parseKey(text)));
onForm("site", async (text) => {
  await add(parseSite(text));
  at("site").value = "";
});

await show();

/**
 * Asked first, while it is still the user's click; kept whatever the answer is, so that it can be asked
 * again.
 */
async function add(site) {
  const asked = settings.askFor(site);
  await settings.addSite(site);
  await asked;
}

async function show() {
  latest += 1;
  const mine = latest;
  const now = await settings.load();
  const forbidden = await settings.forbidden(now.sites);
  const { fault, pages } = await api.storage.session.get({ fault: "", pages: {} });
  if (mine !== latest) return;
  at("told").textContent = fault;
  at("on").checked = now.on;
  if (document.activeElement !== at("key")) at("key").value = now.key;
  showHere(now, forbidden, pages[tab?.id]);
  list("previous", now.previous, (key) => [
    button("Use", `Use the key ${key}`, () => settings.takeKey(key)),
    button("Forget", `Forget the key ${key}`, () => settings.forgetKey(key)),
  ]);
  at("previous-part").hidden = now.previous.length === 0; // What is hidden loses the focus.
  at("sites-none").hidden = now.sites.length > 0;
  list(
    "sites",
    now.sites,
    (site) => [
      ...(forbidden.includes(site) ? [button("Allow", `Allow ${site}`, () => settings.askFor(site))] : []),
      button("Remove", `Remove ${site}`, () => settings.removeSite(site)),
    ],
    (site) => (forbidden.includes(site) ? [element("em", "not allowed in this browser")] : []),
  );
}

function showHere(now, forbidden, page) {
  const site = tab?.url === undefined ? undefined : siteOf(now.sites, tab.url);
  const inLink = tab?.url === undefined ? undefined : keyOfLink(tab.url);
  offered = host === undefined ? undefined : (page?.offer ?? inLink);
  at("offer").hidden = offered === undefined || (offered === now.key && now.on && site !== undefined);
  at("offer-key").textContent = offered ?? "";
  at("offer-where").textContent = `for ${site ?? host}`;
  at("here-add").hidden = host === undefined || site !== undefined;
  at("here-add").textContent = `Add ${host}`;
  at("here-reload").hidden = site === undefined;
  const lines = host === undefined ? [] : linesOf(now, site, forbidden, page);
  at("here").replaceChildren(...lines.map((line) => element("p", line)));
}

function linesOf({ on, key }, site, forbidden, page) {
  if (site === undefined) return [`${host} does not get the key.`];
  if (!on) return [`${host} does not get the key: it is switched off.`];
  if (key === "") return [`${host} gets no key: none is set.`];
  if (forbidden.includes(site))
    return [`${host} does not get the key: you have not allowed ${site} in this browser.`];
  return page === undefined ? [`${host} gets the key. Load it again to see who answers.`] : wordsOf(page);
}

function hostOf(url) {
  const parsed = url !== undefined && URL.canParse(url) ? new URL(url) : undefined;
  return parsed?.protocol === "http:" || parsed?.protocol === "https:" ? parsed.hostname : undefined;
}

/** The focus stays where it was, or in the list when its row has gone. */
function list(id, items, buttonsOf, notesOf = () => []) {
  const focused = at(id).contains(document.activeElement)
    ? document.activeElement.getAttribute("aria-label")
    : null;
  at(id).replaceChildren(
    ...items.map((item) => {
      const [row, name] = [element("li"), element("div")];
      name.append(element("code", item), ...notesOf(item));
      row.append(name, ...buttonsOf(item));
      return row;
    }),
  );
  if (focused === null) return;
  const buttons = [...at(id).querySelectorAll("button")];
  (buttons.find((it) => it.getAttribute("aria-label") === focused) ?? buttons[0] ?? at("key")).focus();
}

function element(name, text = "") {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

function button(text, label, act) {
  const made = element("button", text);
  made.type = "button";
  made.setAttribute("aria-label", label);
  made.addEventListener("click", () => attempt(act));
  return made;
}

function on(id, event, act) {
  at(id).addEventListener(event, (happened) => attempt(() => act(happened)));
}

/** What is wrong with what was typed is said below it. */
function onForm(id, take) {
  at(`${id}-form`).addEventListener("submit", async (event) => {
    event.preventDefault();
    const error = await take(at(id).value).then(
      () => undefined,
      (it) => it,
    );
    at(id).setAttribute("aria-invalid", String(error !== undefined));
    at(`${id}-wrong`).textContent = error?.message ?? "";
  });
}

/** What the browser refuses is said at the top. */
async function attempt(act) {
  try {
    await act();
  } catch (error) {
    at("told").textContent = error.message;
  }
}
