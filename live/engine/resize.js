/** Smaller copies of photos, as Pillow's LANCZOS makes them (libImaging/Resample.c): in 8 bits, first across, then down. */

const LOBES = 3;
const PRECISION_BITS = 22; // of the weights, as Pillow has them for 8 bits
const HALF = 1 << (PRECISION_BITS - 1);
const CHANNELS = 4;

/** Round half to even, as Python does. */
export function rounded(value) {
  const below = Math.floor(value);
  return value - below === 0.5 ? below + (below % 2) : Math.round(value);
}

/**
 * Return a filtered copy with sides this many times as long; the photo itself where that is not smaller.
 * @param {{data: Uint8ClampedArray, width: number, height: number}} photo RGBA, all of it opaque
 */
export function shrunk(photo, factor) {
  if (factor >= 1) return photo;
  const [width, height] = [photo.width, photo.height].map((side) => Math.max(1, rounded(side * factor)));
  return downwards(across(photo, width), height);
}

function across({ data, width, height }, target) {
  if (target === width) return { data, width, height };
  const result = new Uint8ClampedArray(target * height * CHANNELS);
  const { first, count, weights, most } = weightsOf(width, target);
  for (let y = 0, into = 0; y < height; y += 1)
    for (let x = 0; x < target; x += 1, into += CHANNELS) {
      let [red, green, blue] = [HALF, HALF, HALF];
      let from = (y * width + first[x]) * CHANNELS;
      for (let k = x * most; k < x * most + count[x]; k += 1, from += CHANNELS) {
        red += data[from] * weights[k];
        green += data[from + 1] * weights[k];
        blue += data[from + 2] * weights[k];
      }
      result[into] = red >> PRECISION_BITS; // the array clamps to 0–255
      result[into + 1] = green >> PRECISION_BITS;
      result[into + 2] = blue >> PRECISION_BITS;
      result[into + 3] = 255;
    }
  return { data: result, width: target, height };
}

function downwards({ data, width, height }, target) {
  if (target === height) return { data, width, height };
  const result = new Uint8ClampedArray(width * target * CHANNELS);
  const { first, count, weights, most } = weightsOf(height, target);
  const row = width * CHANNELS;
  const sums = new Int32Array(row);
  for (let y = 0; y < target; y += 1) {
    sums.fill(HALF);
    for (let k = 0; k < count[y]; k += 1) {
      const weight = weights[y * most + k];
      for (let i = 0, from = (first[y] + k) * row; i < row; i += 1, from += 1) sums[i] += data[from] * weight;
    }
    for (let i = 0, into = y * row; i < row; i += 1, into += 1) result[into] = sums[i] >> PRECISION_BITS;
  }
  return { data: result, width, height: target };
}

/** Return for each target pixel the first source pixel it is made of, how many, and their weights in fixed point. */
function weightsOf(source, target) {
  const scale = source / target;
  const support = LOBES * scale;
  const most = Math.ceil(support) * 2 + 1;
  const [first, count] = [new Int32Array(target), new Int32Array(target)];
  const weights = new Int32Array(target * most);
  for (let x = 0; x < target; x += 1) {
    const centre = (x + 0.5) * scale;
    first[x] = Math.max(0, Math.trunc(centre - support + 0.5));
    count[x] = Math.min(source, Math.trunc(centre + support + 0.5)) - first[x];
    const exact = Array.from({ length: count[x] }, (_, k) => lanczos((k + first[x] - centre + 0.5) / scale));
    const sum = exact.reduce((total, weight) => total + weight, 0);
    exact.forEach((weight, k) => {
      const fixed = (weight / sum) * 2 ** PRECISION_BITS;
      weights[x * most + k] = Math.trunc(fixed + (fixed < 0 ? -0.5 : 0.5));
    });
  }
  return { first, count, weights, most };
}

function lanczos(x) {
  return -LOBES <= x && x < LOBES ? sinc(x) * sinc(x / LOBES) : 0;
}

function sinc(x) {
  return x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI);
}
