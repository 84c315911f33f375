// A site is a host, or `*.` and a host: that one and all below it. Any port, http and https. Functions of
// values.

const HOST = /^(\[[0-9a-f:.]+\]|[a-z0-9_-]+(\.[a-z0-9_-]+)*)$/;

/**
 * What a user typed or pasted: a host, a host with port, or a whole address. Throws an error that says what
 * is wrong.
 */
export function parseSite(text) {
  const typed = text.trim();
  if (typed === "") throw new Error("Enter a site, such as shop.example.com.");
  const [, scheme, below, rest] = /^(?:([a-z][a-z0-9+.-]*):\/\/)?(\*\.)?(.*)$/i.exec(typed);
  if (scheme !== undefined && !/^https?$/i.test(scheme))
    throw new Error("Only sites of http and https can be added.");
  const address = `http://${rest}`;
  const host = URL.canParse(address) ? new URL(address).hostname : "";
  if (!HOST.test(host)) throw new Error(`“${typed}” is no site: enter a host, such as shop.example.com.`);
  if (below === undefined) return host;
  if (/^[[0-9]/.test(host) && /^(\[.*|[0-9.]+)$/.test(host))
    throw new Error("An address has no sites below it.");
  if (!host.includes(".") && host !== "localhost")
    throw new Error(`“*.${host}” is too much: name a site below it.`);
  return `*.${host}`;
}

/** The permissions that a site needs: to Chromium, `*` is http and https, and WebSockets are others. */
export const originsOf = (site) => ["*", "ws", "wss"].map((scheme) => `${scheme}://${site}/*`);

/** The requests of a site, for RE2 and for JavaScript. */
export function patternOf(site) {
  const below = site.startsWith("*.");
  const host = (below ? site.slice(2) : site).replace(/[.[\]]/g, "\\$&");
  return `^(https?|wss?)://${below ? "([a-z0-9_-]+\\.)*" : ""}${host}(:[0-9]+)?/`;
}

/** Which of the sites `url` belongs to, or undefined. */
export const siteOf = (sites, url) => sites.find((site) => new RegExp(patternOf(site)).test(url));
