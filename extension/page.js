// What is told of a page: who answered its requests. Functions of values.

import { keyOfLink } from "./key.js";

/** A page that nothing is known of. */
export const unknown = () => ({ answers: {}, silent: 0, error: "" });

/** A page that is being opened by this address. */
export function opened(url, key) {
  const offer = keyOfLink(url);
  return { ...unknown(), offer: offer === key ? undefined : offer };
}

/** An answer has come. What is in it is a server's word: only what can be a preview is taken for one. */
export function answered(page, headers) {
  const named = (name) => headers?.find((it) => it.name.toLowerCase() === name)?.value ?? "";
  const [preview, error] = [named("x-byway-preview"), named("x-byway-error")];
  if (ERROR.test(error)) page.error = error;
  const known = preview in page.answers || Object.keys(page.answers).length < MOST_PREVIEWS;
  if (PREVIEW.test(preview) && known) page.answers[preview] = (page.answers[preview] ?? 0) + 1;
  else page.silent += 1;
}

const PREVIEW = /^[a-z0-9.-]{1,253}\/[a-z0-9.-]{1,253}$/;
const ERROR = /^[A-Za-z0-9-]{1,64}$/;
const MOST_PREVIEWS = 20;

/** The badge of a page's tab: its text, what is said of it, and its colour. */
export function badgeOf(page, { on, key }) {
  if (page === undefined) return { text: "", title: "Byway" };
  if (page.offer)
    return {
      text: "key",
      title: `Byway: this link has the key ${page.offer}. Open to use it.`,
      colour: ASKS,
    };
  if (!on || key === "") return { text: "", title: on ? "Byway: no key is set" : "Byway is off" };
  if (page.error) return { text: "!", title: `Byway: ${failure(page)}`, colour: FAILS };
  const names = Object.keys(page.answers);
  if (names.length === 0) return { text: "–", title: `Byway: ${nobody(page)}`, colour: NOBODY };
  return {
    text: names.length === 1 ? "✓" : String(names.length),
    title: `Byway: answered by ${names.join(", ")}`,
    colour: ANSWERS,
  };
}

const ANSWERS = "#1a7f37";
const ASKS = "#8250df";
const FAILS = "#cf222e";
const NOBODY = "#59636e";

/** The same in whole sentences, for the popup. */
export function wordsOf(page) {
  const answers = Object.entries(page.answers);
  const total = answers.reduce((sum, [, count]) => sum + count, page.silent);
  const lines = answers.map(
    ([name, count]) => `${name} answered ${count} of ${total} request${total === 1 ? "" : "s"}.`,
  );
  if (page.error) lines.unshift(capital(`${failure(page)}.`));
  return lines.length > 0 ? lines : [capital(`${nobody(page)}.`)];
}

function failure({ error }) {
  return FAILURES.get(error) ?? `Byway refused a request (${error})`;
}

/** What an agent says in the place of a preview. */
const FAILURES = new Map([
  ["unreachable", "the preview could not be reached"],
  ["no-answer", "the preview did not answer"],
  ["not-http1", "the preview does not speak HTTP/1"],
  ["not-http2", "the preview does not speak HTTP/2"],
]);

function nobody({ silent }) {
  return silent === 0 ? "nothing has been asked yet" : "no preview answered the browser itself";
}

function capital(text) {
  return text[0].toUpperCase() + text.slice(1);
}
