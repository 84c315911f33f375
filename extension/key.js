// What a key is, and where a link carries one. Functions of values.

/** As Byway itself has it: letters, digits, `.`, `_` and `-`, the ends a letter or digit, 63 at most. */
const KEY = /^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/;

/** The parameter of a link that carries the key. */
const PARAMETER = "byway-key";

/** Throws an error that says what is wrong with `text` as a key. */
export function parseKey(text) {
  const key = text.trim();
  if (key === "") throw new Error("Enter a key, such as pr-42.");
  if (key.length > 63) throw new Error(`A key has 63 characters at most; this has ${key.length}.`);
  if (/[^A-Za-z0-9._-]/.test(key)) throw new Error("A key has letters, digits, and . _ - only.");
  if (!KEY.test(key)) throw new Error("A key begins and ends with a letter or digit.");
  return key;
}

/** The key that the link `url` carries, or undefined. What is no key counts as none. */
export function keyOfLink(url) {
  const key = URL.canParse(url) ? new URL(url).searchParams.get(PARAMETER) : null;
  return key !== null && KEY.test(key) ? key : undefined;
}
