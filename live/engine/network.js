/** The network, on ONNX Runtime's WebAssembly: photo in, class scores out; as deeplab.preprocessing prepares it. */

import * as ort from "./ort/ort.wasm.bundle.min.mjs";

import { shrunk } from "./resize.js";

/** Return a loaded network. Threads need a page that is isolated from other origins. */
export async function loaded(file, core, threads) {
  Object.assign(ort.env.wasm, { wasmBinary: core, numThreads: threads });
  return ort.InferenceSession.create(new Uint8Array(file), { executionProviders: ["wasm"], logSeverityLevel: 4 });
}

/** Show a photo to the network, or a smaller copy; return its scores, and the size of what it saw. */
export async function scored(network, photo, model) {
  const { max_side_px, photo_scale } = model.preprocessing;
  const copy = shrunk(photo, Math.min(1, max_side_px / Math.max(photo.width, photo.height)) * photo_scale);
  const { pixels, height, width } = prepared(copy, model);
  const { scores } = await network.run({ image: new ort.Tensor("float32", pixels, [1, 3, height, width]) });
  const [, labels, rows, columns] = scores.dims;
  return { scores: { values: scores.data, labels, rows, columns }, seen: { width: copy.width, height: copy.height } };
}

/** Return the input (3, H, W): (pixel − mean) / std, padded at the bottom and right with the mean colour. */
function prepared({ data, width: seenWidth, height: seenHeight }, { preprocessing, output_stride }) {
  const [width, height] = [seenWidth, seenHeight].map((side) => gridSize(side, output_stride));
  const pixels = new Float32Array(3 * height * width);
  const order = preprocessing.channels === "RGB" ? [0, 1, 2] : [2, 1, 0];
  order.forEach((source, channel) => {
    const [mean, std] = [preprocessing.mean, preprocessing.std].map((values) => Math.fround(values[channel]));
    for (let y = 0; y < seenHeight; y += 1)
      for (let x = 0, at = (channel * height + y) * width; x < seenWidth; x += 1, at += 1)
        pixels[at] = Math.fround(data[4 * (y * seenWidth + x) + source] - mean) / std;
  });
  return { pixels, height, width };
}

/** Return the smallest stride · n + 1 ≥ `size` with n ≥ 1. */
function gridSize(size, stride) {
  return stride * Math.max(1, Math.ceil((size - 1) / stride)) + 1;
}
