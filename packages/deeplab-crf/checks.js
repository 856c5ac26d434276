/** What the CRF takes, checked once, before anything is computed. */

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

export const NORMALIZATIONS = ["after", "symmetric", "before", "none"]; // by their numbers in native/refine.cpp
const LARGEST = 1e9; // weights beyond this drown all else in 32 bits
const MOST_ITERATIONS = 1e6;

function wrong(message) {
  return new CRFError("input", message);
}

/** Check settings by name, and return all of them. */
export function checkSettings(settings) {
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
export function checkPhoto(photo) {
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
export function checkProbabilities(probabilities, { width, height }) {
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

/** Check what is fixed, and return it. */
export function checkFixed(fixed, { width, height }) {
  if (fixed !== null && !(fixed instanceof Uint8Array && fixed.length === width * height))
    throw wrong(
      `fixed is not a Uint8Array of ${height} x ${width}; expected 1 for pixels that keep their values, or 0`,
    );
  return fixed;
}
