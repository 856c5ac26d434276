/** What a network saw in a photo: taken once, and then asked for labels, with any CRF; as deeplab.look computes it. */

import { refine, updates } from "./crf/index.js";
import { likeliestOf, probabilitiesOf } from "./planes.js";
import { shrunk } from "./resize.js";

/**
 * @typedef {object} Look
 * @property {{data: Uint8ClampedArray, width: number, height: number}} photo RGBA
 * @property {{values: Float32Array, labels: number, rows: number, columns: number}} scores
 * @property {{width: number, height: number}} seen of what the network saw: the photo, or a smaller copy
 * @property {object} model see model.js
 */

/** How many times larger the photo is than what the network saw, by their longer sides. */
export function enlargementOf({ photo, seen }) {
  return Math.max(photo.width, photo.height) / Math.max(seen.width, seen.height);
}

/** Return the probabilities at each pixel: (labels, height, width). They take 4 bytes each. */
export function probabilitiesIn(look) {
  return probabilitiesOf(planesOf(look));
}

/** Return labels and confidence by the network alone. */
export function unrefined(look) {
  return likeliestOf(planesOf(look));
}

/**
 * Return labels and confidence after the CRF, which works on the photo, or on a smaller copy where it is large.
 * @param {object} crf its parameters, distances in pixels of what the network saw
 */
export async function refined(look, crf, signal) {
  const { width, height } = look.photo;
  const small = { ...look, photo: shrunk(look.photo, Math.sqrt(look.model.max_crf_pixels / (width * height))) };
  const settings = scaled(crf, enlargementOf(small));
  const beliefs = await refine(small.photo, probabilitiesIn(small), settings, { signal });
  return labelled(look, beliefs, small.photo);
}

/**
 * Yield labels and confidence after each update of the CRF, or after the last alone, over the photo as it is.
 * @param {Float32Array} probabilities as `probabilitiesIn` gives them
 * @param {object} crf its parameters, distances in pixels of the photo
 */
export async function* refinements(look, probabilities, crf, everyUpdate, signal) {
  if (everyUpdate)
    for await (const belief of updates(look.photo, probabilities, crf)) {
      yield labelled(look, belief, look.photo);
      await new Promise((resolve) => setTimeout(resolve)); // hears whether this is still wanted
      signal.throwIfAborted();
    }
  else yield labelled(look, await refine(look.photo, probabilities, crf, { signal }), look.photo);
}

/** Return parameters with distances in pixels of a copy that is larger by a factor. */
export function scaled(crf, factor) {
  const distances = ["bilateral_xy_std_px", "spatial_xy_std_px"].map((name) => [name, crf[name] * factor]);
  return { ...crf, ...Object.fromEntries(distances) };
}

function planesOf({ photo, scores, seen, model }) {
  return { ...scores, size: photo, seen, stride: model.output_stride, areScores: true };
}

/** Return the labels of the photo by beliefs at the pixels of a copy. */
function labelled({ photo, scores }, values, { width, height }) {
  const copy = { width, height };
  return likeliestOf({ values, labels: scores.labels, rows: height, columns: width, size: photo, seen: copy, stride: 1 });
}
