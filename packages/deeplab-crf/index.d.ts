/** Fully connected conditional random fields: sharpen any model's class probabilities along a photo's edges. */

/** A photo as a canvas gives it (`ImageData`), or three bytes a pixel: red, green, blue in 0–255, row by row. */
export interface Photo {
  data: Uint8Array | Uint8ClampedArray;
  /** in pixels */
  width: number;
  /** in pixels */
  height: number;
}

/** What messages are divided by; see the CRF guide. */
export type Normalization = "after" | "symmetric" | "before" | "none";

/** The names are those of deeplab's JSON and of its HTTP API. What is left out is as in {@link DEFAULTS}. */
export interface Settings {
  /** w1, the pull between pixels alike in colour; from 0 on. 5 */
  bilateral_weight?: number;
  /** σα, how far it reaches, in pixels; above 0. 50 */
  bilateral_xy_std_px?: number;
  /** σβ, how alike, in levels of 0–255; above 0. 3 */
  bilateral_rgb_std?: number;
  /** w2, the pull between close pixels of any colour; from 0 on. 3 */
  spatial_weight?: number;
  /** σγ, how far it reaches, in pixels; above 0. 3 */
  spatial_xy_std_px?: number;
  /** mean field updates; 0 gives the probabilities themselves. 10 */
  iterations?: number;
  /** "after" */
  normalization?: Normalization;
  /** leave out of an update the labels whose belief is below this at every pixel; 0 for none. 0.1 */
  prune_below?: number;
  /** photos of more pixels than this squared are refined in tiles; 0 for never. 2560 */
  tile_side_px?: number;
  /** (H, W), 1 for pixels that keep their probabilities and speak to the others, such as a user's strokes; else 0 */
  fixed?: Uint8Array | null;
}

export const DEFAULTS: Readonly<Required<Settings>>;

/**
 * Return the marginals of the fully connected CRF of a photo whose unary energy is -log `probabilities`.
 *
 * It computes on the thread that calls it, about half a second for 640x480 pixels and 21 labels: call it in a worker
 * where a page must not stand still.
 *
 * @param photo RGB or RGBA; alpha is left out.
 * @param probabilities (L, H, W), plane after plane, in 0–1, summing to one over the labels (within 2 %) at every
 *   pixel. (H, W) alone are those of a foreground, p, and stand for two labels, [1 - p, p].
 * @param options `signal` aborts it between two updates; what is thrown then is the signal's reason.
 * @returns (L, H, W), a new array.
 * @throws CRFError
 */
export function refine(
  photo: Photo,
  probabilities: Float32Array,
  settings?: Settings,
  options?: { signal?: AbortSignal },
): Promise<Float32Array>;

/**
 * Yield the marginals before the first update and after each, `iterations + 1` arrays (L, H, W). A loop that is left
 * early ends the work. The photo is refined whole: `tile_side_px` does not matter.
 * @throws CRFError
 */
export function updates(photo: Photo, probabilities: Float32Array, settings?: Settings): AsyncGenerator<Float32Array>;

/**
 * Return the likeliest label of each pixel.
 * @param probabilities (L, H, W), at most 256 labels
 * @param pixels H·W
 * @returns (H, W)
 */
export function likeliest(probabilities: Float32Array, pixels: number): Uint8Array;

/** What cannot be done, in one line. */
export class CRFError extends Error {
  /**
   * "input": an argument is unusable. "unsupported": there is no WebAssembly with SIMD. "memory": it does not fit.
   * "missing": core.wasm cannot be read.
   */
  readonly code: "input" | "unsupported" | "memory" | "missing";
}
