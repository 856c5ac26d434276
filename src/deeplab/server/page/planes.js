/** Label maps as the server sends them: one byte a pixel for the label, one for its confidence, row by row. */

/**
 * Cut an answer into its planes.
 * @param {ArrayBuffer} buffer 2·`pixels` bytes
 * @returns {{labels: Uint8Array, confidence: Uint8Array}} confidence 0–255 stands for 0–1
 */
export function planesIn(buffer, pixels) {
  return { labels: new Uint8Array(buffer, 0, pixels), confidence: new Uint8Array(buffer, pixels, pixels) };
}

/** Return the share of the pixels, 0–1, that each of `count` labels has. */
export function sharesOf(labels, count) {
  const shares = new Float64Array(count);
  for (const label of labels) shares[label] += 1 / labels.length;
  return shares;
}

/** Return the share of the pixels, 0–1, at which two label maps differ. */
export function shareChanged(before, after) {
  return before.reduce((sum, label, index) => sum + (label !== after[index]), 0) / before.length;
}

/** Write a share for reading. */
export function percent(share) {
  return share > 0 && share < 0.001 ? "< 0.1 %" : `${(100 * share).toFixed(1)} %`;
}
