// Wires what happens in the browser to what is to be done. It may be ended by the browser at any time and
// started anew for the next event, so all that lasts is in the browser's storage and rules.

import { Answers } from "./answers.js";
import { api } from "./api.js";
import { rulesOf } from "./rules.js";
import { load } from "./settings.js";

/** The extension is told of requests to the sites that the user has allowed, whatever this says. */
const REQUESTS = { urls: ["*://*/*", "ws://*/*", "wss://*/*"] };

const answers = new Answers();
let applied = apply();

async function apply() {
  try {
    const settings = await load();
    answers.settings = settings;
    const { getDynamicRules, updateDynamicRules, ResourceType } = api.declarativeNetRequest;
    const removeRuleIds = (await getDynamicRules()).map((rule) => rule.id);
    await updateDynamicRules({ removeRuleIds, addRules: rulesOf(settings, Object.values(ResourceType)) });
    await api.storage.session.set({ fault: "" });
  } catch (error) {
    await api.storage.session.set({ fault: `The browser does not take the rules: ${error.message}` });
  }
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
// Chromium refuses, in silence, who listens before any site is allowed. What listens anew does not start this
// script once the browser has ended it, so the first page after that is not seen; from then on all is well.
let heard = allowed();
api.permissions.onAdded.addListener(async () => {
  if (!(await heard)) listen();
  heard = true;
});

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

/** Whether any site is. */
async function allowed() {
  return (await api.permissions.getAll()).origins.length > 0;
}

async function begins(request) {
  await applied;
  await answers.begin(request);
}

async function answered(response) {
  await applied;
  await answers.came(response);
}
