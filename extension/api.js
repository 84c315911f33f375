/** The extension's interface to the browser: Firefox calls it `browser`, Chromium `chrome`. */
export const api = globalThis.browser ?? globalThis.chrome;
