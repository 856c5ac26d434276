/**
 * Fully connected conditional random fields: sharpen any model's class probabilities along a photo's edges.
 * Krähenbühl & Koltun, "Efficient Inference in Fully Connected CRFs with Gaussian Edge Potentials", NIPS 2011.
 */

import { pixelsOf, tilesOf } from "./tiles.js";

/** What a dense CRF cannot do, in one line; `code` is "input", "unsupported", "memory" or "missing". */
export class CRFError extends Error {
  constructor(code, message) {
    super(message);
    this.name = "CRFError";
    this.code = code;
  }
}

/** The settings where nothing else is said: those of the DeepLab authors. */
export const DEFAULTS = Object.freeze({
  bilateral_weight: 5,
  bilateral_xy_std_px: 50,
  bilateral_rgb_std: 3,
  spatial_weight: 3,
  spatial_xy_std_px: 3,
  iterations: 10,
  normalization: "after",
  prune_below: 0.1,
  tile_side_px: 2560,
  fixed: null,
});

const NORMALIZATIONS = ["after", "symmetric", "before", "none"]; // by their numbers in native/refine.cpp
const LARGEST = 1e9; // weights beyond this drown all else in 32 bits
const MOST_ITERATIONS = 1e6;
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
export async function refine(photo, probabilities, settings = {}) {
  try {
    return await refineTiles(photo, probabilities, settings);
  } catch (error) {
    if (error instanceof CRFError) throw error;
    if (error instanceof RangeError || error instanceof WebAssembly.RuntimeError)
      throw noMemory(photo.width * photo.height, probabilities.length / (photo.width * photo.height));
    throw error;
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

async function refineTiles(photo, probabilities, settings) {
  const chosen = checkSettings(settings);
  const stride = checkPhoto(photo);
  const given = checkProbabilities(probabilities, photo);
  const fixed = checkFixed(chosen.fixed, photo);
  const module = await moduleOf();
  const narrowing = narrowingAt(chosen.bilateral_rgb_std);
  const { width, height } = photo;
  const reach = REACH_STDS * chosen.bilateral_xy_std_px;
  const refined = new Float32Array(given.length);
  for (const { seen, kept: part } of tilesOf(height, width, chosen.tile_side_px, reach)) {
    const work = { photo, stride, given, fixed, seen, narrowing, chosen };
    putBack(refineTile(await instanceOf(module), work), seen, refined, part, photo);
  }
  return refined;
}

function refineTile({ exports }, { photo, stride, given, fixed, seen, narrowing, chosen }) {
  const [height, width, pixels] = [seen.bottom - seen.top, seen.right - seen.left, pixelsOf(seen)];
  const labels = given.length / (photo.width * photo.height);
  const taken = [];
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
  try {
    const image = copy(Uint8Array, photo.data, 1, stride);
    const held = fixed ? copy(Uint8Array, fixed, 1, 1) : 0;
    const belief = copy(Float32Array, given, labels, 1);
    const outcome = exports.refine(
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
      chosen.iterations,
      chosen.prune_below,
    );
    if (outcome === NO_MEMORY) throw noMemory(pixels, labels);
    if (outcome === TOO_FAR)
      throw new CRFError("input", "the photo spans too many standard deviations; use larger ones");
    return new Float32Array(exports.memory.buffer, belief, labels * pixels).slice();
  } catch (error) {
    kept = null; // what a failed call leaves in its memory goes with it
    throw error;
  } finally {
    if (kept) taken.forEach((start) => exports.give(start));
    if (exports.memory.buffer.byteLength > KEPT_BYTES) kept = null;
  }
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

function wrong(message) {
  return new CRFError("input", message);
}

function checkSettings(settings) {
  const unknown = Object.keys(settings).filter((name) => !(name in DEFAULTS));
  if (unknown.length)
    throw wrong(`unknown setting ${unknown.join(", ")}; expected ${Object.keys(DEFAULTS).join(", ")}`);
  const given = Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
  const chosen = { ...DEFAULTS, ...given };
  const number = (name, fits, expected) => {
    if (typeof chosen[name] !== "number" || !fits(chosen[name]))
      throw wrong(`${name} is ${String(chosen[name])}; expected ${expected}`);
  };
  for (const name of ["bilateral_weight", "spatial_weight"])
    number(name, (value) => value >= 0 && value <= LARGEST, `a number from 0 to ${LARGEST}`);
  for (const name of ["bilateral_xy_std_px", "bilateral_rgb_std", "spatial_xy_std_px"])
    number(name, (value) => Math.fround(value) > 0 && Number.isFinite(value), "a number above 0");
  number("prune_below", (value) => value >= 0 && value <= 1, "a number from 0 to 1");
  for (const [name, most] of [
    ["iterations", MOST_ITERATIONS],
    ["tile_side_px", 2 ** 31],
  ])
    number(name, (value) => Number.isInteger(value) && value >= 0 && value <= most, "a whole number from 0 on");
  if (!NORMALIZATIONS.includes(chosen.normalization))
    throw wrong(`normalization is ${String(chosen.normalization)}; expected one of ${NORMALIZATIONS.join(", ")}`);
  return chosen;
}

/** Check a photo and return how many bytes a pixel has. */
function checkPhoto(photo) {
  const { data, width, height } = photo ?? {};
  if (!(data instanceof Uint8Array || data instanceof Uint8ClampedArray))
    throw wrong("the photo has no data of bytes; expected {data, width, height}, such as a canvas's ImageData");
  const pixels = width * height;
  if (!(Number.isInteger(width) && Number.isInteger(height) && pixels > 0))
    throw wrong(`the photo is ${String(width)}x${String(height)}; expected whole pixels, at least one`);
  const stride = data.length / pixels;
  if (stride !== 3 && stride !== 4)
    throw wrong(`the photo has ${data.length} bytes; expected RGB or RGBA of ${width}x${height} pixels`);
  return stride;
}

/** Check probabilities, and return those of two labels where they are a foreground's. */
function checkProbabilities(probabilities, { width, height }) {
  const pixels = width * height;
  if (!(probabilities instanceof Float32Array) || probabilities.length % pixels !== 0 || probabilities.length === 0)
    throw wrong(
      `probabilities are ${probabilities?.constructor?.name} of ${probabilities?.length}; expected a Float32Array of ` +
        `labels x ${height} x ${width}, one plane after the other`,
    );
  const sums = new Float32Array(pixels);
  for (let at = 0; at < probabilities.length;)
    for (let i = 0; i < pixels; i += 1, at += 1) {
      if (!(probabilities[at] >= 0)) throw wrong(`probabilities hold ${probabilities[at]}; expected 0 to 1`);
      sums[i] += probabilities[at];
    }
  if (probabilities.length === pixels) {
    const beyond = sums.find((value) => value > 1);
    if (beyond !== undefined) throw wrong(`the foreground's probabilities hold ${beyond}; expected 0 to 1`);
    const both = new Float32Array(2 * pixels);
    both.set(probabilities, pixels);
    for (let i = 0; i < pixels; i += 1) both[i] = 1 - probabilities[i];
    return both;
  }
  const off = sums.find((sum) => !(Math.abs(sum - 1) <= 0.02));
  if (off !== undefined)
    throw wrong(`probabilities sum to ${off} at a pixel; expected 1, within 2 %: for logits, apply the softmax first`);
  return probabilities;
}

function checkFixed(fixed, { width, height }) {
  if (fixed !== null && !(fixed instanceof Uint8Array && fixed.length === width * height))
    throw wrong(
      `fixed is not a Uint8Array of ${height} x ${width}; expected 1 for pixels that keep their values, or 0`,
    );
  return fixed;
}
