/** A photo's scores or probabilities, read at its pixels; as deeplab.scores and deeplab.planes compute them. */

const BAND_VALUES = 1 << 22; // in a band of probabilities: 17 MB
const { fround } = Math; // every step rounds to 32 bits, as NumPy's do

/**
 * What is known of each label at the pixels of a photo, or of a grid over it.
 * @typedef {object} Planes
 * @property {Float32Array} values (labels, rows, columns): scores, or probabilities
 * @property {number} labels
 * @property {number} rows
 * @property {number} columns
 * @property {{width: number, height: number}} size of the photo
 * @property {{width: number, height: number}} seen of the copy of the photo that they are of
 * @property {number} stride pixels of that copy from one value to the next
 * @property {boolean} areScores whether softmax makes probabilities of the values once they are interpolated
 */

/** Return the probabilities of the photo's rows from `start` to before `stop`: (labels, rows, width). */
export function probabilitiesOf(planes, start = 0, stop = planes.size.height) {
  const dense = interpolated(planes, start, stop);
  return planes.areScores ? softmaxInPlace(dense, planes.labels) : dense;
}

/** Return the most probable label of each pixel of the photo, and its probability. */
export function likeliestOf(planes) {
  const { width, height } = planes.size;
  const labels = new Uint8Array(width * height);
  const confidence = new Float32Array(width * height);
  if (isDense(planes)) {
    takeLikeliest(planes.values, labels, confidence);
    return { labels, confidence };
  }
  const step = Math.max(1, Math.floor(BAND_VALUES / (planes.labels * width)));
  for (let start = 0; start < height; start += step) {
    const stop = Math.min(start + step, height);
    const [from, to] = [start * width, stop * width];
    takeLikeliest(probabilitiesOf(planes, start, stop), labels.subarray(from, to), confidence.subarray(from, to));
  }
  return { labels, confidence };
}

/** Return 2·H·W bytes: the labels, and their confidence, 255 for 1. */
export function asBytes({ labels, confidence }) {
  const bytes = new Uint8Array(2 * labels.length);
  bytes.set(labels);
  const shares = new Uint8ClampedArray(bytes.buffer, labels.length); // rounds half to even, as NumPy's rint
  for (let i = 0; i < labels.length; i += 1) shares[i] = fround(confidence[i] * 255);
  return bytes.buffer;
}

/** Whether the values are the probabilities of the photo's own pixels. */
function isDense({ stride, seen, size, areScores }) {
  return stride === 1 && seen.width === size.width && seen.height === size.height && !areScores;
}

function takeLikeliest(probabilities, labels, best) {
  const pixels = labels.length;
  best.set(probabilities.subarray(0, pixels));
  for (let label = 1, at = pixels; at < probabilities.length; label += 1)
    for (let i = 0; i < pixels; i += 1, at += 1)
      if (probabilities[at] > best[i]) {
        best[i] = probabilities[at];
        labels[i] = label;
      }
}

/** Interpolate bilinearly, corners aligned, at the pixels of some rows (section 3.1 of the paper). */
function interpolated({ values, labels, rows, columns, size, seen, stride }, start, stop) {
  const across = neighboursOf(size.width, seen.width, columns, stride);
  const down = neighboursOf(size.height, seen.height, rows, stride);
  const result = new Float32Array(labels * (stop - start) * size.width);
  const [upper, lower] = [new Float32Array(size.width), new Float32Array(size.width)];
  for (let label = 0, at = 0; label < labels; label += 1) {
    let [above, below] = [-1, -1]; // the rows of values that `upper` and `lower` hold
    for (let y = start; y < stop; y += 1) {
      if (down.before[y] !== above) widen(values, (label * rows + (above = down.before[y])) * columns, across, upper);
      if (down.after[y] !== below) widen(values, (label * rows + (below = down.after[y])) * columns, across, lower);
      const share = down.share[y];
      for (let x = 0; x < size.width; x += 1, at += 1)
        result[at] = fround(upper[x] + fround(fround(lower[x] - upper[x]) * share));
    }
  }
  return result;
}

function widen(values, row, { before, after, share }, into) {
  for (let x = 0; x < into.length; x += 1) {
    const left = values[row + before[x]];
    into[x] = fround(left + fround(fround(values[row + after[x]] - left) * share[x]));
  }
}

/** Return for every pixel along one side the cells before and after it, and how far it is between the two (0–1). */
function neighboursOf(pixels, seen, cells, stride) {
  const [before, after] = [new Int32Array(pixels), new Int32Array(pixels)];
  const share = new Float32Array(pixels);
  for (let i = 0; i < pixels; i += 1) {
    const place = Math.min(Math.max(((i + 0.5) * (seen / pixels) - 0.5) / stride, 0), cells - 1);
    before[i] = Math.trunc(place);
    after[i] = Math.min(before[i] + 1, cells - 1);
    share[i] = place - before[i];
  }
  return { before, after, share };
}

function softmaxInPlace(scores, labels) {
  const pixels = scores.length / labels;
  const [most, sum] = [scores.slice(0, pixels), new Float32Array(pixels)];
  for (let at = pixels; at < scores.length;)
    for (let i = 0; i < pixels; i += 1, at += 1) if (scores[at] > most[i]) most[i] = scores[at];
  for (let at = 0; at < scores.length;)
    for (let i = 0; i < pixels; i += 1, at += 1) sum[i] += scores[at] = Math.exp(fround(scores[at] - most[i]));
  for (let at = 0; at < scores.length;) for (let i = 0; i < pixels; i += 1, at += 1) scores[at] /= sum[i];
  return scores;
}
