// The sites of the tests: where they are, and what their servers were asked for.
'use strict';

const { readFileSync } = require('fs');

/**
 * Of the test that started this: the target's address, what the servers write down, and where pictures go.
 */
const { address, logs, pictures } = JSON.parse(process.env.BYWAY_SITE);
const PORT = 8080;
const PATIENCE = 10_000;

/** The address of a page of a site; all names under `.test` are the one target. */
const at = (host, path) => `http://${host}:${PORT}${path}`;

/** What the servers were asked for with this path, the stable app's and the preview's. */
function asked(path) {
  const lines = logs.flatMap((log) =>
    readFileSync(log, 'utf8')
      .split('\n')
      .filter((line) => line !== ''),
  );
  return lines
    .map((line) => JSON.parse(line))
    .filter(({ url }) => new URL(url, 'http://site').pathname === path);
}

/** Waits for a request: some are sent when the page feels like it. */
async function arrived(path) {
  for (const end = Date.now() + PATIENCE; Date.now() < end;) {
    const found = asked(path);
    if (found.length > 0) return found;
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error(`nobody was asked for ${path}`);
}

module.exports = { address, arrived, asked, at, pictures };
