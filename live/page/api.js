/** The engine that does the page's work: here this tab, in a worker; what is exported is as in the server's api.js. */

import { MODEL as model } from "./engine/model.js";
import { Refusal, TOO_OLD } from "./engine/refusal.js";

export { Refusal };

const ENDINGS = { "mask.png": ".png", "overlay.jpg": "_overlay.jpg", "cutout.png": "_cutout.png" };

const waiting = new Map(); // by call: what hears of it
let worker = null;
let calls = 0;

export async function fetchLimits() {
  return { max_pixels: model.max_pixels, max_upload_bytes: Infinity };
}

export async function sendPhoto(file, { onProgress, signal }) {
  const id = crypto.getRandomValues(new Uint32Array(2)).join("-");
  return { ...(await ask("open", [id, file], { onProgress, signal })), name: file.name };
}

export function fetchPhoto(id, signal) {
  return ask("picture", [id], { signal });
}

export function fetchNetwork(id, signal) {
  return ask("byNetwork", [id], { signal });
}

export function refine(id, { every_iteration = false, ...parameters }, signal) {
  return ask("refine", [id, parameters, every_iteration], { signal });
}

/** Make a file of the photo's own size. */
export async function fetchResult(id, what, parameters, classes) {
  const wanted = classes.map((name) => model.labels.find((label) => label.name === name).index);
  const { blob, name } = await ask("draw", [id, what, parameters, wanted]);
  return { blob, name: `${name.replace(/\.[^.]*$/, "") || "photo"}${ENDINGS[what]}` };
}

export function forget(id) {
  ask("forget", [id]).catch(() => {});
}

/** Have the worker do something; `onProgress` hears words and the share done, 0–1, if it is known. */
function ask(method, args, { signal, onProgress } = {}) {
  signal?.throwIfAborted();
  worker ??= started();
  const call = (calls += 1);
  const answer = new Promise((resolve, reject) => {
    waiting.set(call, { resolve, reject, onProgress });
    signal?.addEventListener("abort", () => {
      worker?.postMessage({ cancel: call });
      reject(signal.reason);
    });
    worker.postMessage({ call, method, args });
  });
  return answer.finally(() => waiting.delete(call));
}

function started() {
  const fresh = new Worker(new URL("./engine/worker.js", import.meta.url), { type: "module" });
  fresh.addEventListener("message", ({ data: { call, progress, result, refusal } }) => {
    const { resolve, reject, onProgress } = waiting.get(call) ?? {};
    if (progress) onProgress?.(progress.words, progress.share);
    else if (refusal) reject?.(Object.assign(new Refusal(refusal.message, refusal.code), { name: refusal.name }));
    else resolve?.(result);
  });
  fresh.addEventListener("error", ({ message }) => {
    fresh.terminate(); // what it held is lost with it
    if (worker === fresh) worker = null;
    const reason = message ? new Refusal(`The tab's engine has stopped (${message}). Open the photo again.`, "failed") : new Refusal(TOO_OLD, "unsupported");
    for (const { reject } of waiting.values()) reject(reason);
  });
  return fresh;
}
