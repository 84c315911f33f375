// What the user has set. Key, previous keys and sites are synced to the user's other browsers, where sync is
// on; whether it is on is of this browser alone.

import { api } from "./api.js";
import { originsOf } from "./site.js";

const SYNCED = { key: "", previous: [], sites: [] };
const LOCAL = { on: true };
const MOST_PREVIOUS = 10;
/** Each is a rule, and all of them together an item that is synced: 8 KiB at most. */
const MOST_SITES = 30;

export async function load() {
  const [synced, local] = await Promise.all([api.storage.sync.get(SYNCED), api.storage.local.get(LOCAL)]);
  return { ...synced, ...local };
}

export const turn = (on) => api.storage.local.set({ on });

/** Takes a key, and turns it on: whoever chooses a key wants to see its preview. */
export async function takeKey(key) {
  const { key: old, previous } = await load();
  const others = [old, ...previous].filter((it) => it !== "" && it !== key);
  await api.storage.sync.set({ key, previous: [...new Set(others)].slice(0, MOST_PREVIOUS) });
  await turn(true);
}

export async function forgetKey(key) {
  const { previous } = await load();
  await api.storage.sync.set({ previous: previous.filter((it) => it !== key) });
}

export async function addSite(site) {
  const { sites } = await load();
  if (sites.includes(site)) return;
  if (sites.length >= MOST_SITES)
    throw new Error(`${MOST_SITES} sites are the most: remove one that you no longer need.`);
  await api.storage.sync.set({ sites: [...sites, site].sort() });
}

/** The permission goes with it. */
export async function removeSite(site) {
  const { sites } = await load();
  await api.storage.sync.set({ sites: sites.filter((it) => it !== site) });
  await api.permissions.remove({ origins: originsOf(site) });
}

/**
 * Asks the user. The browser wants it to be called straight from a click, so nothing may be awaited before.
 */
export const askFor = (site) => api.permissions.request({ origins: originsOf(site) });

/** Of the sites those that the user has not allowed in this browser: synced from another one, say. */
export async function forbidden(sites) {
  const allowed = await Promise.all(
    sites.map((site) => api.permissions.contains({ origins: originsOf(site) })),
  );
  return sites.filter((_, index) => !allowed[index]);
}
