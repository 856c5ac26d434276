/** The network and its engine, fetched from this site: with progress, checked, and kept for the next visit. */

import { Refusal } from "./refusal.js";

const KEPT = "deeplab-live"; // the cache's name

/**
 * Fetch files, all at once.
 * @param {{name: string, bytes: number, sha256: string}[]} files beside this module; bytes are the unpacked size
 * @param {(share: number) => void} onProgress hears the share of all bytes that is here, 0–1
 * @returns {Promise<ArrayBuffer[]>}
 */
export async function fetched(files, onProgress) {
  const total = files.reduce((sum, { bytes }) => sum + bytes, 0);
  const arrived = files.map(() => 0);
  const cache = await openCache();
  const contents = await Promise.all(
    files.map((file, index) =>
      content(cache, file, (bytes) => {
        arrived[index] = bytes;
        onProgress(Math.min(1, arrived.reduce((sum, value) => sum + value, 0) / total));
      }),
    ),
  );
  await forgetOthers(cache, files);
  return contents;
}

async function content(cache, file, onBytes) {
  const url = addressOf(file);
  const kept = await cache?.match(url);
  if (kept) {
    const bytes = await kept.arrayBuffer();
    if (await isWhole(bytes, file)) {
      onBytes(file.bytes);
      return bytes;
    }
  }
  const bytes = await download(url, file, onBytes);
  if (!(await isWhole(bytes, file))) throw notLoaded(file, "what arrived is damaged");
  await cache?.put(url, new Response(bytes)).catch(() => {}); // no room: the next visit fetches it again
  return bytes;
}

/** Another content has another address, so that no cache on the way gives an old one. */
function addressOf({ name, sha256 }) {
  return new URL(`./${name}?${sha256.slice(0, 16)}`, import.meta.url).href;
}

async function download(url, file, onBytes) {
  const failed = (error) => Promise.reject(notLoaded(file, error.message));
  const answer = await fetch(url).catch(failed);
  if (!answer.ok) throw notLoaded(file, `${answer.status} ${answer.statusText}`.trim());
  const bytes = new Uint8Array(file.bytes);
  const reader = answer.body.getReader();
  let at = 0;
  for (;;) {
    const { done, value } = await reader.read().catch(failed);
    if (done) return bytes.buffer.slice(0, at);
    if (at + value.length > bytes.length) throw notLoaded(file, "more arrived than it has");
    bytes.set(value, at);
    onBytes((at += value.length));
  }
}

/** Whether a file is what was built; without https there is no hash, only its length. */
async function isWhole(bytes, file) {
  if (bytes.byteLength !== file.bytes) return false;
  if (!globalThis.crypto?.subtle) return true;
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("") === file.sha256;
}

/** Return the cache, or null where there is none: without https, or where the browser keeps nothing. */
async function openCache() {
  return globalThis.caches ? caches.open(KEPT).catch(() => null) : null;
}

async function forgetOthers(cache, files) {
  const wanted = files.map(addressOf);
  for (const { url } of (await cache?.keys()) ?? []) if (!wanted.includes(url)) await cache.delete(url);
}

function notLoaded({ name, bytes }, reason) {
  const size = `${Math.ceil(bytes / 1e6)} MB`;
  return new Refusal(
    `${name} (${size}) could not be loaded from this site: ${reason}. Look at the connection, and open the photo again.`,
    "download",
  );
}
