/**
 * The worker that does the tab's computing. It is sent {call, method, args}, or {cancel} with the number of a call, and
 * answers {call, progress}, {call, result} or {call, refusal: {name, message, code}}. Calls are done one after the other.
 */

import { refusalOf } from "./refusal.js";
import * as tab from "./tab.js";

const wanted = new Map(); // by call: the controller that ends it
let working = Promise.resolve();

addEventListener("message", ({ data: { call, cancel, method, args } }) => {
  if (cancel !== undefined) return wanted.get(cancel)?.abort();
  const controller = new AbortController();
  wanted.set(call, controller);
  working = working.then(() => work(call, method, args, controller.signal));
});

async function work(call, method, args, signal) {
  const onProgress = (words, share) => postMessage({ call, progress: { words, share } });
  try {
    signal.throwIfAborted();
    const result = await tab[method](...args, { signal, onProgress });
    postMessage({ call, result }, result instanceof ArrayBuffer ? [result] : []);
  } catch (error) {
    const { name, message, code } = refusalOf(error, "for this photo");
    postMessage({ call, refusal: { name, message, code } });
  } finally {
    wanted.delete(call);
  }
}
