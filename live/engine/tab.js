/** What `deeplab serve` does for its page, done in this tab. Each function takes {signal, onProgress} at the end. */

import { fetched } from "./assets.js";
import { probabilitiesIn, refined, refinedInPlace, unrefined } from "./look.js";
import { MODEL as model } from "./model.js";
import { loaded, scored } from "./network.js";
import { decoded, encoded } from "./photo.js";
import { PICTURES } from "./pictures.js";
import { asBytes } from "./planes.js";
import { Refusal, refusalOf, TOO_OLD } from "./refusal.js";
import { shrunk } from "./resize.js";
import { isAble } from "./support.js";

const MOST_THREADS = 4; // beyond, the network gains little

const photos = new Map(); // by id: {file, look}, the look over the working copy
let network = null; // the promise of it
let tell = () => {}; // hears how far it is: the call that waits for it last
let latest = {}; // the look that was asked last, and its probabilities, which take 66 MB

/** Take a photo in: decode it, show it to the network, and keep what that saw; return its sizes. */
export async function open(id, file, { signal, onProgress }) {
  const loading = networkOf(onProgress); // while it arrives, the photo is decoded
  loading.catch(() => {});
  const photo = await decoded(file);
  const session = await loading;
  signal.throwIfAborted();
  onProgress("Segmenting");
  const seen = await scored(session, photo, model).catch((error) => {
    network = null; // one that ran out of memory is of no more use
    throw error;
  });
  const copy = shrunk(photo, model.working_side_px / Math.max(photo.width, photo.height));
  photos.set(id, { file, look: { photo: copy, ...seen, model } });
  return { width: copy.width, height: copy.height, full_width: photo.width, full_height: photo.height };
}

/** Return the working copy, or a smaller one of at most that side, as a JPEG. */
export function picture(id, sidePx) {
  const { photo } = photos.get(id).look;
  return encoded(shrunk(photo, sidePx / Math.max(photo.width, photo.height)), "image/jpeg");
}

/** Return labels and confidence of the working copy, by the network alone or, with a `crf`, after it. */
export async function segment(id, crf, { signal }) {
  const { look } = photos.get(id);
  if (!crf) return asBytes(unrefined(look));
  if (latest.look !== look) latest = { look, probabilities: probabilitiesIn(look) };
  return asBytes(await refinedInPlace(look, latest.probabilities, { ...model.crf, ...crf }, signal));
}

/** Refine the photo at its full size, and return one of `PICTURES` of it, and the photo's name. */
export async function draw(id, what, crf, wanted, { signal }) {
  const { file, look } = photos.get(id);
  const whole = { ...look, photo: await decoded(file) };
  const { labels } = await refined(whole, { ...model.crf, ...crf }, signal);
  return { blob: await PICTURES[what](whole.photo, labels, model, wanted), name: file.name };
}

export function forget(id) {
  if (latest.look === photos.get(id)?.look) latest = {};
  photos.delete(id);
}

function networkOf(onProgress) {
  tell = onProgress;
  network ??= loadNetwork();
  network.catch(() => (network = null)); // the next photo tries again
  return network;
}

async function loadNetwork() {
  if (!isAble()) throw new Refusal(TOO_OLD, "unsupported");
  const threads = globalThis.crossOriginIsolated ? Math.min(navigator.hardwareConcurrency, MOST_THREADS) : 1;
  const [file, core] = await fetched(model.files, (share) => tell("Loading the network", share));
  tell("Starting the network");
  return loaded(file, core, threads).catch((error) => Promise.reject(refusalOf(error, "to start the network")));
}
