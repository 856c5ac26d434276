/** Label maps as palette PNGs, whose pixel values are labels and which say what those mean; as deeplab.label_maps. */

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];
const KEY = "deeplab labels";
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let rest = byte;
  for (let bit = 0; bit < 8; bit += 1) rest = rest & 1 ? (rest >>> 1) ^ 0xedb88320 : rest >>> 1;
  return rest;
});

/**
 * Return labels as a PNG.
 * @param {Uint8Array} labels (height, width)
 * @param {{palette: number[][]}} labelSet as deeplab.labels.LabelSet.to_dict has it, with 256 colours
 */
export async function labelMapOf(labels, { width, height }, { palette, ...said }) {
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, width);
  header.setUint32(4, height);
  header.setUint16(8, 0x0803); // 8 bits, with a palette
  const rows = new Uint8Array(height * (width + 1)); // each after a zero: no filter
  for (let y = 0; y < height; y += 1) rows.set(labels.subarray(y * width, (y + 1) * width), y * (width + 1) + 1);
  const text = new TextEncoder().encode(`${KEY}\0\0\0\0\0${JSON.stringify(said)}`);
  const parts = [
    ["IHDR", new Uint8Array(header.buffer)],
    ["iTXt", text],
    ["PLTE", Uint8Array.from(palette.flat())],
    ["IDAT", await deflated(rows)],
    ["IEND", new Uint8Array(0)],
  ];
  return new Blob([Uint8Array.from(SIGNATURE), ...parts.map(chunk)], { type: "image/png" });
}

async function deflated(bytes) {
  const packed = new Blob([bytes]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(packed).arrayBuffer());
}

function chunk([type, content]) {
  const bytes = new Uint8Array(content.length + 12);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, content.length);
  bytes.set(new TextEncoder().encode(type), 4);
  bytes.set(content, 8);
  let sum = ~0;
  for (let i = 4; i < bytes.length - 4; i += 1) sum = TABLE[(sum ^ bytes[i]) & 255] ^ (sum >>> 8);
  view.setUint32(bytes.length - 4, ~sum >>> 0);
  return bytes;
}
