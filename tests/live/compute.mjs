// node compute.mjs ENGINE FOLDER: does what FOLDER/asked.json asks of the live page's modules, on files in FOLDER.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const [engine, folder] = process.argv.slice(2);
const load = (name) => import(join(engine, name));
const bytes = (name) => Uint8Array.from(readFileSync(join(folder, name)));
const photoOf = ([width, height]) => ({ data: new Uint8ClampedArray(bytes("photo.bin").buffer), width, height });
const keep = (name, { buffer, byteOffset, byteLength }) =>
  writeFileSync(join(folder, name), new Uint8Array(buffer, byteOffset, byteLength));

const tasks = {
  async shrunk({ size, factor }) {
    const { shrunk } = await load("resize.js");
    const small = shrunk(photoOf(size), factor);
    keep("small.bin", small.data);
  },
  async planes({ size: [width, height], seen, labels, rows, columns, stride }) {
    const { likeliestOf, probabilitiesOf } = await load("planes.js");
    const values = new Float32Array(bytes("scores.bin").buffer);
    const planes = { values, labels, rows, columns, size: { width, height }, stride, areScores: true };
    planes.seen = { width: seen[0], height: seen[1] };
    keep("probabilities.bin", probabilitiesOf(planes));
    keep("labels.bin", likeliestOf(planes).labels);
  },
  async look({ size }) {
    const [{ loaded, scored }, { refined }, { MODEL: model }] = [
      await load("network.js"),
      await load("look.js"),
      await load("model.js"),
    ];
    const [file, core] = model.files.map(({ name }) => readFileSync(join(engine, name)));
    const photo = photoOf(size);
    const seen = await scored(await loaded(file, core, 1), photo, model);
    keep("scores.bin", seen.scores.values);
    keep("labels.bin", (await refined({ photo, ...seen, model }, model.crf)).labels);
  },
};

const { task, ...given } = JSON.parse(readFileSync(join(folder, "asked.json"), "utf8"));
await tasks[task](given);
process.exit(0); // the runtime's threads would wait
