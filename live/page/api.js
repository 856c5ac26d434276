/** The engine that does the page's work: here this tab, in a worker; what is exported is as in the server's api.js. */

import { MODEL as model } from "./engine/model.js";
import { Refusal } from "./engine/refusal.js";
import { ask } from "./working.js";

export { Refusal };

const ENDINGS = { "mask.png": ".png", "overlay.jpg": "_overlay.jpg", "cutout.png": "_cutout.png" };

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
