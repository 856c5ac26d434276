import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, copyFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

import { CRFError, DEFAULTS, likeliest, refine, updates } from "../index.js";
import { pixelsOf, tilesOf } from "../tiles.js";

/** Two halves, dark and bright, with a foreground that is unsure at their edge; by the channels of a pixel. */
function scene(channels = 3, width = 6, height = 4) {
  const data = new Uint8ClampedArray(width * height * channels);
  const foreground = new Float32Array(width * height);
  for (let i = 0; i < width * height; i += 1) {
    const x = i % width;
    data.fill(x < width / 2 ? 0 : 255, i * channels, (i + 1) * channels);
    foreground[i] = x < (2 * width) / 3 ? 0.3 : 0.9;
  }
  return { photo: { data, width, height }, foreground };
}

const refused = (code, pattern) => (error) =>
  error instanceof CRFError && error.code === code && pattern.test(error.message) && !error.message.includes("\n");

test("labels come to follow the photo's edge", async () => {
  const { photo, foreground } = scene();
  const refined = await refine(photo, foreground, { bilateral_rgb_std: 20 });
  assert.deepEqual([...likeliest(refined, 24).slice(0, 6)], [0, 0, 0, 1, 1, 1]);
  for (let i = 0; i < 24; i += 1) assert.ok(Math.abs(refined[i] + refined[24 + i] - 1) < 1e-5);
});

test("alpha is left out, and a foreground stands for two labels", async () => {
  const { photo, foreground } = scene();
  const expected = await refine(photo, foreground);
  const withAlpha = scene(4).photo;
  for (let i = 3; i < withAlpha.data.length; i += 4) withAlpha.data[i] = i;
  assert.deepEqual(await refine(withAlpha, foreground), expected);
  const both = Float32Array.from([...foreground].map((p) => 1 - p).concat([...foreground]));
  assert.deepEqual(await refine(photo, both), expected);
});

test("nothing that is given is changed, and calls do not meet", async () => {
  const { photo, foreground } = scene();
  const [data, given] = [photo.data.slice(), foreground.slice()];
  const several = await Promise.all([
    refine(photo, foreground),
    refine(scene(3, 30, 20).photo, scene(3, 30, 20).foreground),
    refine(photo, foreground),
  ]);
  assert.deepEqual(several[0], several[2]);
  assert.deepEqual([photo.data, foreground], [data, given]);
});

test("without updates the probabilities stay", async () => {
  const { photo, foreground } = scene();
  const refined = await refine(photo, foreground, { iterations: 0 });
  foreground.forEach((p, i) => assert.ok(Math.abs(refined[24 + i] - p) < 1e-6));
});

test("fixed pixels keep theirs, and others follow them", async () => {
  const { photo } = scene();
  const even = new Float32Array(48).fill(0.5);
  const fixed = new Uint8Array(24);
  for (const [pixel, label] of [
    [0, 0],
    [5, 1],
  ]) {
    fixed[pixel] = 1;
    even[pixel] = 1 - label;
    even[24 + pixel] = label;
  }
  const refined = await refine(photo, even, { fixed, bilateral_rgb_std: 20 });
  assert.deepEqual([refined[0], refined[24 + 5]], [1, 1]);
  assert.deepEqual([...likeliest(refined, 24).slice(6, 12)], [0, 0, 0, 1, 1, 1]);
});

test("updates are those of fewer iterations, and a loop may be left", async () => {
  const { photo, foreground } = scene();
  const found = [];
  for await (const belief of updates(photo, foreground, { iterations: 3 })) found.push(belief);
  assert.equal(found.length, 4);
  for (const [iterations, belief] of found.entries())
    assert.deepEqual(belief, await refine(photo, foreground, { iterations }));
  for await (const belief of updates(photo, foreground)) {
    assert.deepEqual(belief, found[0]);
    break;
  }
  const refusing = updates(photo, foreground, { iterations: -1 });
  await assert.rejects(refusing.next(), refused("input", /iterations is -1/));
});

test("a signal ends the work", async () => {
  const { photo, foreground } = scene(3, 60, 40);
  const aborted = AbortSignal.abort(new Error("enough"));
  await assert.rejects(refine(photo, foreground, {}, { signal: aborted }), /enough/);
  const later = new AbortController();
  const running = refine(photo, foreground, { iterations: 1e6 }, { signal: later.signal });
  setTimeout(() => later.abort(new Error("enough now")), 5);
  await assert.rejects(running, /enough now/);
});

test("the likeliest label is the first of equals", () => {
  assert.deepEqual([...likeliest(Float32Array.of(0.2, 0.4, 0.2, 0.4, 0.6, 0.2), 2)], [2, 0]);
});

test("tiles keep each pixel once, and see no more than a side", () => {
  for (const [height, width, side, reach] of [
    [100, 90, 40, 10],
    [10, 400, 60, 200],
    [57, 83, 25, 3],
  ]) {
    const tiles = tilesOf(height, width, side, reach);
    const kept = new Uint8Array(height * width);
    for (const { seen, kept: part } of tiles) {
      assert.ok(tiles.length === 1 || pixelsOf(seen) <= side ** 2);
      for (let y = part.top; y < part.bottom; y += 1)
        for (let x = part.left; x < part.right; x += 1) kept[y * width + x] += 1;
    }
    assert.ok(kept.every((count) => count === 1));
  }
});

test("bad input is one line that says what is expected", async () => {
  const { photo, foreground } = scene();
  const cases = [
    [null, foreground, {}, /expected \{data, width, height\}/],
    [{ ...photo, data: [...photo.data] }, foreground, {}, /no data of bytes/],
    [{ ...photo, width: 5 }, foreground, {}, /72 bytes; expected RGB or RGBA of 5x4/],
    [{ ...photo, width: 0 }, foreground, {}, /0x4; expected whole pixels/],
    [photo, [...foreground], {}, /Array of 24; expected a Float32Array of labels x 4 x 6/],
    [photo, foreground.slice(1), {}, /Float32Array of 23/],
    [photo, new Float32Array(0), {}, /Float32Array of 0/],
    [photo, undefined, {}, /undefined/],
    [photo, foreground.map(() => NaN), {}, /hold NaN; expected 0 to 1/],
    [photo, foreground.map(() => -1), {}, /hold -1; expected 0 to 1/],
    [photo, foreground.map(() => 2), {}, /hold 2; expected 0 to 1/],
    [photo, new Float32Array(48).fill(0.6), {}, /sum to 1\.2\d* at a pixel; expected 1, .*softmax/],
    [photo, foreground, { bilateralWeight: 3 }, /unknown setting bilateralWeight; expected bilateral_weight, /],
    [photo, foreground, { bilateral_weight: -1 }, /bilateral_weight is -1; expected a number from 0/],
    [photo, foreground, { bilateral_rgb_std: 0 }, /bilateral_rgb_std is 0; expected a number above 0/],
    [photo, foreground, { spatial_xy_std_px: "3" }, /spatial_xy_std_px is 3; expected a number above 0/],
    [photo, foreground, { iterations: 1.5 }, /iterations is 1\.5; expected a whole number/],
    [photo, foreground, { prune_below: NaN }, /prune_below is NaN/],
    [photo, foreground, { normalization: "mean" }, /normalization is mean; expected one of after, symmetric/],
    [photo, foreground, { fixed: [1] }, /fixed is not a Uint8Array of 4 x 6/],
    [photo, foreground, { bilateral_rgb_std: 1e-30 }, /spans too many standard deviations/],
  ];
  for (const [image, probabilities, settings, pattern] of cases)
    await assert.rejects(refine(image, probabilities, settings), refused("input", pattern));
  assert.equal((await refine(photo, foreground, { ...DEFAULTS, iterations: undefined })).length, 48); // and it goes on
});

test("what does not fit in memory is an error, and the next call works", async () => {
  const { photo, foreground } = scene();
  const { instantiate } = WebAssembly;
  WebAssembly.instantiate = async (...of) => {
    const { exports } = await instantiate(...of);
    return { exports: { ...exports, memory: exports.memory, take: () => 0 } };
  };
  const fresh = await import("../index.js?without-memory");
  try {
    await assert.rejects(fresh.refine(photo, foreground), {
      code: "memory",
      message: /2 labels of 24 pixels do not fit/,
    });
    WebAssembly.instantiate = async () => {
      throw new RangeError("could not allocate memory");
    };
    await assert.rejects(fresh.refine(photo, foreground), { code: "memory", message: /no memory for the core/ });
  } finally {
    WebAssembly.instantiate = instantiate;
  }
  assert.equal((await fresh.refine(photo, foreground)).length, 48);
});

test("a photo that fills the memory midway is an error", () => {
  const script = `
    import { refine } from ${JSON.stringify(new URL("../index.js", import.meta.url))};
    const [width, height] = [1000, 1000];
    const even = new Float32Array(2 * width * height).fill(0.5);
    try {
      await refine({ data: new Uint8Array(3 * width * height), width, height }, even);
    } catch (error) {
      console.log(error.code, error.message);
    }`;
  const with64MB = ["--wasm-max-mem-pages=1024", "--input-type=module", "--eval", script];
  const said = spawnSync(process.execPath, with64MB, { encoding: "utf8" });
  assert.match(
    said.stdout,
    /^memory 2 labels of 1000000 pixels do not fit in memory; .*smaller tile_side_px\n$/,
    said.stderr,
  );
});

test("a browser without SIMD, or without WebAssembly, is told so", async () => {
  const { photo, foreground } = scene();
  const { WebAssembly: real } = globalThis;
  for (const stand of [undefined, { validate: () => false }]) {
    globalThis.WebAssembly = stand;
    const fresh = await import(`../index.js?simd-${typeof stand}`);
    try {
      await assert.rejects(fresh.refine(photo, foreground), {
        code: "unsupported",
        message: /no WebAssembly with SIMD/,
      });
    } finally {
      globalThis.WebAssembly = real;
    }
  }
});

test("a package without its core, or with another, is told so", async () => {
  const { photo, foreground } = scene();
  const folder = mkdtempSync(join(tmpdir(), "deeplab-crf-"));
  for (const name of ["index.js", "checks.js", "tiles.js", "package.json"])
    copyFileSync(new URL(`../${name}`, import.meta.url), join(folder, name));
  const lone = await import(pathToFileURL(join(folder, "index.js")));
  await assert.rejects(lone.refine(photo, foreground), {
    code: "missing",
    message: /core\.wasm cannot be read \(ENOENT\)/,
  });
  copyFileSync(new URL("../package.json", import.meta.url), join(folder, "core.wasm"));
  await assert.rejects(lone.refine(photo, foreground), { code: "unsupported", message: /core\.wasm is refused/ });
});
