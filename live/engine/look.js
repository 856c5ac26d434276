/** What a network saw in a photo: taken once, and then asked for labels, with any CRF; as deeplab.look computes it. */

import { refine } from "./crf/index.js";
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
function enlargementOf({ photo, seen }) {
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
  const beliefs = await refine(small.photo, probabilitiesIn(small), scaled(crf, enlargementOf(small)), { signal });
  return labelled(look, beliefs, small.photo);
}

/**
 * Return labels and confidence after the CRF over the photo as it is, whatever its size.
 * @param {Float32Array} probabilities as `probabilitiesIn` gives them
 * @param {object} crf its parameters, distances in pixels of what the network saw
 */
export async function refinedInPlace(look, probabilities, crf, signal) {
  const beliefs = await refine(look.photo, probabilities, scaled(crf, enlargementOf(look)), { signal });
  return labelled(look, beliefs, look.photo);
}

/** Return parameters with distances in pixels of a copy that is larger by a factor. */
function scaled(crf, factor) {
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
