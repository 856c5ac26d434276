/** What `deeplab serve` does for its page, done in this tab. Each function takes {signal, onProgress} at the end. */

import { fetched } from "./assets.js";
import { enlargementOf, probabilitiesIn, refined, refinements, scaled, unrefined } from "./look.js";
import { MODEL as model } from "./model.js";
import { loaded, scored } from "./network.js";
import { decoded, encoded } from "./photo.js";
import { PICTURES } from "./pictures.js";
import { asBytes } from "./planes.js";
import { Refusal, refusalOf, TOO_OLD } from "./refusal.js";
import { shrunk } from "./resize.js";
import { isAble } from "./support.js";

const MOST_THREADS = 4; // beyond, the network gains little

const photos = new Map(); // by id: {file, size, look, probabilities}
let network = null; // the promise of it
let tell = () => {}; // hears how far it is: the call that waits for it last

/** Take a photo in: decode it, show it to the network, and keep what that saw. */
export async function open(id, file, { signal, onProgress }) {
  const loading = networkOf(onProgress); // while it arrives, the photo is decoded
  loading.catch(() => {});
  const photo = await decoded(file);
  const size = { width: photo.width, height: photo.height };
  const session = await loading;
  signal.throwIfAborted();
  onProgress("Segmenting");
  const seen = await scored(session, photo, model).catch((error) => {
    network = null; // one that ran out of memory is of no more use
    throw error;
  });
  const copy = shrunk(photo, model.working_side_px / Math.max(size.width, size.height));
  const look = { photo: copy, ...seen, model };
  photos.set(id, { file, size, look, probabilities: probabilitiesIn(look) });
  return described(id);
}

/** Return the working copy as a JPEG. */
export function picture(id) {
  return encoded(photos.get(id).look.photo, "image/jpeg");
}

/** Return labels and confidence by the network alone. */
export function byNetwork(id) {
  return asBytes(unrefined(photos.get(id).look));
}

/** Return labels and confidence after the CRF, or before its first update and after each. */
export async function refine(id, parameters, everyUpdate, { signal }) {
  const { look, probabilities } = photos.get(id);
  const crf = { ...scaled(model.crf, enlargementOf(look)), ...parameters };
  const found = [];
  for await (const each of refinements(look, probabilities, crf, everyUpdate, signal)) found.push(asBytes(each));
  return new Blob(found).arrayBuffer();
}

/** Refine the photo at its full size, and return one of `PICTURES` of it, and the photo's name. */
export async function draw(id, what, parameters, wanted, { signal }) {
  const { file, look } = photos.get(id);
  const factor = enlargementOf(look);
  const crf = scaled({ ...scaled(model.crf, factor), ...parameters }, 1 / factor); // in pixels of what the network saw
  const whole = { ...look, photo: await decoded(file) };
  const { labels } = await refined(whole, crf, signal);
  return { blob: await PICTURES[what](whole.photo, labels, model, wanted), name: file.name };
}

export function forget(id) {
  photos.delete(id);
}

function described(id) {
  const { size, look } = photos.get(id);
  const factor = enlargementOf(look);
  const starts = scaled(model.crf, factor);
  const limits = Object.entries(model.usual).map(([name, usual]) => {
    const [least, most] = usual.map((end) => end * (name.endsWith("_px") ? factor : 1));
    return [name, [Math.min(least, starts[name]), Math.max(most, starts[name])]];
  });
  const parameters = Object.fromEntries(limits.map(([name]) => [name, starts[name]]));
  const { width, height } = look.photo;
  return {
    ...{ id, width, height, full_width: size.width, full_height: size.height, notes: [] },
    ...{ model: model.name, labels: model.labels, background: model.background },
    ...{ parameters, limits: Object.fromEntries(limits) },
  };
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
