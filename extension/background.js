// Wires what happens in the browser to what is to be done. It may be ended by the browser at any time and started anew
// for the next event, so all that lasts is in the browser's storage and rules.

import { Answers } from "./answers.js";
import { api } from "./api.js";
import { rulesOf } from "./rules.js";
import { load } from "./settings.js";

/** The extension is told of requests to the sites that the user has allowed, whatever this says. */
const REQUESTS = { urls: ["*://*/*", "ws://*/*", "wss://*/*"] };

const answers = new Answers();
let applied = apply();

function apply() {
  return load().then(async (settings) => {
    answers.settings = settings;
    const old = await api.declarativeNetRequest.getDynamicRules();
    const addRules = rulesOf(settings, Object.values(api.declarativeNetRequest.ResourceType));
    await api.declarativeNetRequest.updateDynamicRules({ removeRuleIds: old.map((rule) => rule.id), addRules });
    await api.storage.session.set({ fault: "" });
  }).catch((error) => api.storage.session.set({ fault: `The browser does not take the rules: ${error.message}` }));
}

/** One after the other: each reads what holds when it begins. */
function applyAgain() {
  applied = applied.then(apply);
  return applied;
}

api.runtime.onInstalled.addListener(applyAgain);
api.runtime.onStartup.addListener(applyAgain);
api.permissions.onAdded.addListener(applyAgain);
api.permissions.onRemoved.addListener(applyAgain);
api.storage.onChanged.addListener(async (changes, area) => {
  if (area === "session") return;
  await applyAgain();
  await answers.showAll();
});

listen();
/** Chromium tells a listener nothing of sites that were allowed after it had been added. */
api.permissions.onAdded.addListener(listen);

// A new page takes the badge of its tab away, and where it is no page of a site there is no other news of it.
api.tabs.onUpdated.addListener(async (tab, change, { url }) => {
  await applied;
  if (change.status !== undefined) await answers.at(tab, url);
});
api.tabs.onRemoved.addListener((tab) => answers.forget(tab));

function listen() {
  const { onBeforeRequest, onHeadersReceived } = api.webRequest;
  onBeforeRequest.removeListener(begins);
  onBeforeRequest.addListener(begins, { ...REQUESTS, types: ["main_frame"] });
  onHeadersReceived.removeListener(answered);
  onHeadersReceived.addListener(answered, REQUESTS, ["responseHeaders"]);
}

async function begins(request) {
  await applied;
  await answers.begin(request);
}

async function answered(response) {
  await applied;
  await answers.came(response);
}
