/** The worker that computes for this tab, and what is asked of it. */

import { Refusal, TOO_OLD } from "./engine/refusal.js";

const waiting = new Map(); // by call: what hears of it
let worker = null;
let calls = 0;

/** Have the worker do something; `onProgress` hears the share done, 0–1 or undefined, and words for it. */
export function ask(method, args, { signal, onProgress } = {}) {
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
    if (progress) onProgress?.(progress.share, progress.words);
    else if (refusal) reject?.(Object.assign(new Refusal(refusal.message, refusal.code), { name: refusal.name }));
    else resolve?.(result);
  });
  fresh.addEventListener("error", ({ message }) => {
    fresh.terminate(); // what it held is lost with it
    if (worker === fresh) worker = null;
    const stopped = `The tab's engine has stopped (${message}). Reload the page.`;
    const reason = message ? new Refusal(stopped, "failed") : new Refusal(TOO_OLD, "unsupported"); // no module worker
    for (const { reject } of waiting.values()) reject(reason);
  });
  return fresh;
}
