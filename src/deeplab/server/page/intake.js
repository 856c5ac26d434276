/** Photos into the page: picked, dropped, or pasted. */

const input = document.getElementById("file");

/** Call `onPhoto` with every File that comes in, and `onNothing` with a message where something without one does. */
export function takePhotos(onPhoto, onNothing) {
  for (const button of document.querySelectorAll(".pick")) button.addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    if (input.files.length) onPhoto(input.files[0]);
    input.value = ""; // so that the same file may be picked again
  });

  document.addEventListener("paste", (event) => {
    if (event.clipboardData.files.length) onPhoto(event.clipboardData.files[0]);
    else if (!event.target.matches("input")) onNothing("There is no picture on the clipboard.");
  });

  let depth = 0; // enter and leave come in pairs for every element under the pointer
  const mark = (change) => {
    depth = change === 0 ? 0 : depth + change;
    document.body.classList.toggle("dragging", depth > 0);
  };
  document.addEventListener("dragenter", () => mark(1));
  document.addEventListener("dragleave", () => mark(-1));
  document.addEventListener("dragover", (event) => event.preventDefault()); // or nothing may be dropped
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    mark(0);
    if (event.dataTransfer.files.length) onPhoto(event.dataTransfer.files[0]);
    else onNothing("That was no file. Save the picture first, then drop the file here.");
  });
}
