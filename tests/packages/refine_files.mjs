/** Refines what lies in a folder, photo.bin and probabilities.bin, and fixed.bin if there is one: refined.bin. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [module, folder, width, height, settings] = process.argv.slice(2);
const { refine } = await import(pathToFileURL(module));
const read = (name) => readFileSync(`${folder}/${name}`);
const photo = { data: new Uint8Array(read("photo.bin")), width: Number(width), height: Number(height) };
const given = read("probabilities.bin");
const probabilities = new Float32Array(given.buffer.slice(given.byteOffset, given.byteOffset + given.byteLength));
const fixed = existsSync(`${folder}/fixed.bin`) ? new Uint8Array(read("fixed.bin")) : null;
const begun = performance.now();
const refined = await refine(photo, probabilities, { fixed, ...JSON.parse(settings) });
process.stdout.write(`${((performance.now() - begun) / 1000).toFixed(2)} s\n`);
writeFileSync(`${folder}/refined.bin`, refined);
