/** Whether this browser can run the network, asked before anything is downloaded. */

// A module of one function that returns a vector: valid where there is SIMD.
const WITH_SIMD = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11];

/** ONNX Runtime needs SIMD, and memory that threads could share, even where it has but one. */
export function isAble() {
  try {
    new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    return WebAssembly.validate(Uint8Array.from(WITH_SIMD));
  } catch {
    return false;
  }
}
