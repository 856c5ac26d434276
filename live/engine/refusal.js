/** Why something was not done. */
export class Refusal extends Error {
  /**
   * @param {string} message to be shown
   * @param {string} code "unsupported": the browser lacks something. "memory": it does not fit. "download": a file of this
   *     site did not arrive. "invalid_image": the photo cannot be read. "invalid_input": anything else that was asked.
   */
  constructor(message, code) {
    super(message);
    this.name = "Refusal";
    this.code = code;
  }
}

/** Return what went wrong as a refusal; the engines that compute each have errors of their own. */
export function refusalOf(error, doing) {
  if (error.name === "AbortError" || error instanceof Refusal) return error;
  const said = String(error.message ?? error);
  if (error instanceof RangeError || error.code === "memory" || /memory|bad_alloc|allocat/i.test(said))
    return new Refusal(`There is not enough memory ${doing}. Close other tabs, or open a smaller photo.`, "memory");
  if (error.code === "unsupported" || /WebAssembly SIMD/.test(said)) return new Refusal(TOO_OLD, "unsupported");
  if (error.code === "missing") return new Refusal(`${said}. Reload the page.`, "download");
  return new Refusal(`It failed ${doing} (${said}). Reload the page, or open another photo.`, error.code ?? "invalid_input");
}

export const TOO_OLD =
  "This browser cannot run the network: it has no WebAssembly with SIMD and threads. Expected are Chrome 95, Firefox 100, " +
  "Safari 16.4 or newer; or install deeplab, whose page works in any browser.";
