/** Photos into the page: picked, dropped, or pasted, alone, many, or in folders. */

const file = document.getElementById("file");
const folder = document.getElementById("folder");

const MOST_FILES = 2000; // that a dropped folder may hold

/** Call `onPhotos` with the Files that come in, and `onProblem` with a message where none do. */
export function takePhotos(onPhotos, onProblem) {
  const take = (files, nothing) => (files.length ? onPhotos(files) : onProblem(nothing));
  for (const [buttons, input] of [[".pick", file], [".pick-folder", folder]]) {
    for (const button of document.querySelectorAll(buttons)) button.addEventListener("click", () => input.click());
    input.addEventListener("change", () => {
      const files = input === folder ? photosAmong([...input.files]) : [...input.files];
      if (input.files.length) take(files, "There is no photo in this folder.");
      input.value = ""; // so that the same file may be picked again
    });
  }

  document.addEventListener("paste", (event) => {
    if (event.target.matches("input") && !event.clipboardData.files.length) return; // a token, say
    take([...event.clipboardData.files], "There is no picture on the clipboard.");
  });

  let depth = 0; // enter and leave come in pairs for every element under the pointer
  const mark = (change) => {
    depth = change === 0 ? 0 : depth + change;
    document.body.classList.toggle("dragging", depth > 0);
  };
  document.addEventListener("dragenter", () => mark(1));
  document.addEventListener("dragleave", () => mark(-1));
  document.addEventListener("dragover", (event) => event.preventDefault()); // or nothing may be dropped
  document.addEventListener("drop", async (event) => {
    event.preventDefault();
    mark(0);
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()); // gone once the event is over
    const files = [...event.dataTransfer.files];
    if (!entries.some((entry) => entry?.isDirectory)) {
      return take(files, "That was no file. Save the picture first, then drop the file here.");
    }
    const found = [];
    for (const entry of entries) if (entry) await walk(entry, found);
    take(photosAmong(found), "There is no photo in this folder.");
  });
}

/** Folders hold other files, too, of which nobody wants to hear; by name, since browsers go by that, too. */
function photosAmong(files) {
  const photos = files.filter(({ type, name }) => type.startsWith("image/") || /\.(jp2|jxl|avif|tiff?)$/i.test(name));
  return photos.sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }));
}

async function walk(entry, found) {
  if (found.length >= MOST_FILES || entry.name.startsWith(".")) return;
  if (entry.isFile) return void found.push(await new Promise((resolve, reject) => entry.file(resolve, reject)));
  const reader = entry.createReader();
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return;
    for (const inner of some) await walk(inner, found);
  }
}
