/** Results as files; what each holds is as deeplab.server.pictures and deeplab.images make it. */

import { labelMapOf } from "./label_map.js";
import { encoded } from "./photo.js";
import { rounded } from "./resize.js";

const OPACITY = 0.5;

/** By the file's name: a function of the photo, its labels, the model, and the labels that are wanted; [] wants all. */
export const PICTURES = {
  "mask.png": (photo, labels, model, wanted) => labelMapOf(only(labels, wanted, model), photo, model.label_set),
  "overlay.jpg": (photo, labels, model, wanted) =>
    encoded(overlaid(photo, only(labels, wanted, model), model), "image/jpeg"),
  "cutout.png": (photo, labels, model, wanted) => encoded(cutOut(photo, labels, model, wanted), "image/png"),
};

/** Return labels in which all that is not wanted is background, or void where that itself is wanted or there is none. */
function only(labels, wanted, { background, label_set }) {
  if (!wanted.length) return labels;
  const other = background === null || wanted.includes(background) ? label_set.void : background;
  return labels.map((label) => (wanted.includes(label) ? label : other));
}

/** Return the photo tinted by class, with a thin white contour inside each region. */
function overlaid({ data, width, height }, labels, { background, labels: classes }) {
  const colours = classes.map(({ colour }) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16)));
  const near = contours(labels, width, height);
  const result = data.slice();
  for (let i = 0; i < labels.length; i += 1) {
    const colour = labels[i] === background ? undefined : colours[labels[i]]; // void has none
    for (let c = 0; colour && c < 3; c += 1)
      result[4 * i + c] = near[i] ? 255 : Math.trunc(data[4 * i + c] + OPACITY * (colour[c] - data[4 * i + c]));
  }
  return { data: result, width, height };
}

/** Mark the pixels near another label: 1 px wide in a small photo, wider in proportion in a large one. */
function contours(labels, width, height) {
  const reach = Math.max(1, rounded(Math.max(width, height) / 800));
  const near = new Uint8Array(labels.length);
  const compare = (first, second) => {
    if (labels[first] !== labels[second]) near[first] = near[second] = 1;
  };
  for (let y = 0, at = 0; y < height; y += 1)
    for (let x = 0; x < width; x += 1, at += 1) {
      if (x >= reach) compare(at, at - reach);
      if (y >= reach) compare(at, at - reach * width);
    }
  return near;
}

/** Return the photo, opaque where its labels are wanted; without wishes that is all but void and the background. */
function cutOut({ data, width, height }, labels, { background, labels: classes }, wanted) {
  const shown = wanted.length ? wanted : classes.map(({ index }) => index).filter((index) => index !== background);
  const opaque = Uint8Array.from({ length: 256 }, (_, label) => (shown.includes(label) ? 255 : 0));
  const result = data.slice();
  for (let i = 0; i < labels.length; i += 1) result[4 * i + 3] = opaque[labels[i]];
  return { data: result, width, height };
}
