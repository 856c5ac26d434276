/**
 * Fully connected conditional random fields: sharpen any model's class probabilities along a photo's edges.
 * Krähenbühl & Koltun, "Efficient Inference in Fully Connected CRFs with Gaussian Edge Potentials", NIPS 2011.
 */

import { checkFixed, checkPhoto, checkProbabilities, checkSettings, CRFError, NORMALIZATIONS } from "./checks.js";
import { pixelsOf, tilesOf } from "./tiles.js";

export { CRFError, DEFAULTS } from "./checks.js";

const REACH_STDS = 3; // what lies further away moves next to nothing

const NO_MEMORY = 1;
const TOO_FAR = 2;
const KEPT_BYTES = 2 ** 28; // an instance whose memory has grown beyond this is let go: memory never shrinks

// A module of one function that returns a vector: valid where there is SIMD.
const WITH_SIMD = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
]);

let compiled = null; // the promise of the module
let kept = null; // the last instance

/**
 * Return the marginals of the fully connected CRF of a photo whose unary energy is -log `probabilities`.
 * See index.d.ts for all arguments. It computes on the thread that calls it: call it in a worker where a page must not
 * stand still.
 */
export function refine(photo, probabilities, settings = {}, { signal } = {}) {
  return withOurErrors(photo, probabilities, async () => {
    const work = await workOf(photo, probabilities, settings);
    const { width, height } = photo;
    const reach = REACH_STDS * work.chosen.bilateral_xy_std_px;
    const refined = new Float32Array(work.given.length);
    for (const { seen, kept: part } of tilesOf(height, width, work.chosen.tile_side_px, reach)) {
      const tile = await refineTile(await instanceOf(work.module), { ...work, seen }, signal);
      putBack(tile, seen, refined, part, photo);
    }
    return refined;
  });
}

/** Yield the marginals before the first update and after each; the photo is never cut into tiles. */
export async function* updates(photo, probabilities, settings = {}) {
  const ours = (work) => withOurErrors(photo, probabilities, work);
  const work = await ours(() => workOf(photo, probabilities, settings));
  const seen = { top: 0, bottom: photo.height, left: 0, right: photo.width };
  const instance = await ours(() => instanceOf(work.module));
  const tile = await ours(() => opened(instance, { ...work, seen }));
  try {
    yield await ours(() => tile.read(work.chosen.iterations === 0));
    for (let update = 1; update <= work.chosen.iterations; update += 1)
      yield await ours(() => (tile.step(), tile.read(update === work.chosen.iterations)));
  } finally {
    tile.close();
  }
}

/** Return the likeliest label of each of `pixels` pixels: (L, H, W) probabilities → (H, W) labels. */
export function likeliest(probabilities, pixels) {
  const labels = new Uint8Array(pixels);
  const highest = probabilities.slice(0, pixels);
  for (let label = 1; label * pixels < probabilities.length; label += 1)
    for (let i = 0, at = label * pixels; i < pixels; i += 1, at += 1)
      if (probabilities[at] > highest[i]) {
        highest[i] = probabilities[at];
        labels[i] = label;
      }
  return labels;
}

/** Return what `work` does; where memory runs out in the engine, it is an error of ours. */
async function withOurErrors(photo, probabilities, work) {
  try {
    return await work();
  } catch (error) {
    if (error instanceof CRFError) throw error;
    if (!(error instanceof RangeError || error instanceof WebAssembly.RuntimeError)) throw error;
    throw noMemory(photo.width * photo.height, probabilities.length / (photo.width * photo.height));
  }
}

/** Check everything once, and return what the work on each tile takes. */
async function workOf(photo, probabilities, settings) {
  const chosen = checkSettings(settings);
  const stride = checkPhoto(photo);
  const given = checkProbabilities(probabilities, photo);
  const fixed = checkFixed(chosen.fixed, photo);
  return { photo, stride, given, fixed, narrowing: narrowingAt(chosen.bilateral_rgb_std), chosen, module: await moduleOf() };
}

async function refineTile(instance, work, signal) {
  const tile = opened(instance, work);
  try {
    for (let update = 0; update < work.chosen.iterations; update += 1) {
      if (signal) await otherTasks();
      signal?.throwIfAborted();
      tile.step();
    }
    return tile.read(true);
  } finally {
    tile.close();
  }
}

/** Let the thread do what else it was asked, such as to abort this. */
function otherTasks() {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel(); // unlike a timer's, its messages wait for nothing
    port1.onmessage = () => (port1.close(), resolve());
    port2.postMessage(null);
  });
}

/** Begin with a tile: `step` updates it, `read` returns its marginals, a new array, and `close` frees its memory. */
function opened(instance, { photo, stride, given, fixed, seen, narrowing, chosen }) {
  const { exports } = instance;
  const [height, width, pixels] = [seen.bottom - seen.top, seen.right - seen.left, pixelsOf(seen)];
  const labels = given.length / (photo.width * photo.height);
  const taken = [];
  let work = 0;
  const take = (bytes) => {
    const start = bytes < 2 ** 32 ? exports.take(bytes) >>> 0 : 0;
    if (start === 0) throw noMemory(pixels, labels);
    taken.push(start);
    return start;
  };
  const copy = (View, from, planes, each) => {
    const start = take(planes * pixels * each * View.BYTES_PER_ELEMENT);
    const into = new View(exports.memory.buffer, start, planes * pixels * each);
    copyWindow(from, photo, seen, into, planes, each);
    return start;
  };
  /** Call the core; what a call that fails leaves in its memory goes with the instance. */
  const call = (compute) => {
    try {
      return compute();
    } catch (error) {
      taken.length = work = 0;
      if (kept === instance) kept = null;
      throw error;
    }
  };
  const checked = (outcome) => {
    if (outcome === NO_MEMORY) throw noMemory(pixels, labels);
    if (outcome === TOO_FAR)
      throw new CRFError("input", "the photo spans too many standard deviations; use larger ones");
    return outcome;
  };
  const tile = {
    step: () => call(() => checked(exports.step(work))),
    read: (last) =>
      call(() => {
        tile.into ??= take(4 * labels * pixels);
        checked(exports.read(work, tile.into, last));
        return new Float32Array(exports.memory.buffer, tile.into, labels * pixels).slice();
      }),
    close: () => {
      if (work) exports.close(work);
      taken.forEach((start) => exports.give(start));
      taken.length = work = 0;
      if (kept === instance && exports.memory.buffer.byteLength > KEPT_BYTES) kept = null;
    },
  };
  work = call(() => {
    const image = copy(Uint8Array, photo.data, 1, stride);
    const held = fixed ? copy(Uint8Array, fixed, 1, 1) : 0;
    const belief = copy(Float32Array, given, labels, 1);
    return checked(
      exports.open(
        image,
        height,
        width,
        stride,
        seen.top,
        seen.left,
        belief,
        labels,
        held,
        chosen.bilateral_weight,
        chosen.bilateral_xy_std_px / narrowing,
        chosen.bilateral_rgb_std / narrowing,
        chosen.spatial_weight,
        chosen.spatial_xy_std_px,
        NORMALIZATIONS.indexOf(chosen.normalization),
        chosen.prune_below,
      ) >>> 0,
    );
  });
  return tile;
}

/** Copy a window of planes of a photo's size, `each` values a pixel, into planes of its own size. */
function copyWindow(from, photo, window, into, planes, each) {
  const row = (window.right - window.left) * each;
  for (let plane = 0, at = 0; plane < planes; plane += 1)
    for (let y = window.top; y < window.bottom; y += 1, at += row) {
      const start = ((plane * photo.height + y) * photo.width + window.left) * each;
      into.set(from.subarray(start, start + row), at);
    }
}

/** Copy the part of a tile's planes that is kept into those of the photo. */
function putBack(tile, seen, refined, part, photo) {
  const [height, width] = [seen.bottom - seen.top, seen.right - seen.left];
  for (let plane = 0; plane * height * width < tile.length; plane += 1)
    for (let y = part.top; y < part.bottom; y += 1) {
      const start = (plane * height + y - seen.top) * width + part.left - seen.left;
      const row = tile.subarray(start, start + part.right - part.left);
      refined.set(row, (plane * photo.height + y) * photo.width + part.left);
    }
}

/** The lattice blurs wide colours too much: by this its standard deviations are divided, as deeplab.crf does it. */
function narrowingAt(rgbStd) {
  return 1 + 0.05 * Math.min(Math.max((rgbStd - 5) / 3, 0), 1);
}

async function moduleOf() {
  if (typeof WebAssembly === "undefined" || !WebAssembly.validate(WITH_SIMD))
    throw new CRFError(
      "unsupported",
      "this browser has no WebAssembly with SIMD; expected Chrome 95, Firefox 100, Safari 16.4 or newer",
    );
  compiled ??= bytesOf(new URL("./core.wasm", import.meta.url)).then((bytes) => WebAssembly.compile(bytes));
  try {
    return await compiled;
  } catch (error) {
    compiled = null; // the next call tries again
    throw error instanceof CRFError ? error : new CRFError("unsupported", `core.wasm is refused: ${error.message}`);
  }
}

async function bytesOf(url) {
  const missing = (reason) => new CRFError("missing", `${url} cannot be read (${reason}); is it beside index.js?`);
  if (url.protocol === "file:") {
    const { readFile } = await import(/* webpackIgnore: true */ /* @vite-ignore */ "node:fs/promises");
    return readFile(url).catch((error) => Promise.reject(missing(error.code)));
  }
  const answer = await fetch(url).catch((error) => Promise.reject(missing(error.message)));
  if (!answer.ok) throw missing(`${answer.status} ${answer.statusText}`);
  return answer.arrayBuffer();
}

async function instanceOf(module) {
  if (kept) return kept;
  const stop = (status) => {
    throw new Error(`the core ended with status ${status}`);
  };
  const nothing = () => 0;
  try {
    kept = await WebAssembly.instantiate(module, {
      env: { emscripten_notify_memory_growth: nothing },
      wasi_snapshot_preview1: { proc_exit: stop, environ_sizes_get: nothing, environ_get: nothing },
    });
  } catch (error) {
    throw new CRFError("memory", `there is no memory for the core (${error.message}); close other pages`);
  }
  kept.exports._initialize();
  return kept;
}

function noMemory(pixels, labels) {
  return new CRFError(
    "memory",
    `${labels} labels of ${pixels} pixels do not fit in memory; shrink the photo, or give a smaller tile_side_px`,
  );
}

