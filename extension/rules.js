// What the browser is told to do. A function of values.

import { patternOf } from "./site.js";

/** The header that carries the key. */
const HEADER = "x-byway-key";

/**
 * The rules of declarativeNetRequest: for each site one that sets the header, and none while it is off or
 * there is no key. `types` are all types of requests that this browser knows: left out, a rule would not be
 * for pages themselves.
 */
export function rulesOf({ on, key, sites }, types) {
  if (!on || key === "") return [];
  return sites.map((site, index) => ({
    id: index + 1,
    action: { type: "modifyHeaders", requestHeaders: [{ header: HEADER, operation: "set", value: key }] },
    condition: { regexFilter: patternOf(site), resourceTypes: types },
  }));
}
