/** Photos into the page: picked, dropped, or pasted. */

const input = document.getElementById("file");

/** Call `onPhoto` with a File that comes in, and `onProblem` with a message where none does, or others with it. */
export function takePhotos(onPhoto, onProblem) {
  const take = (files, nothing) => {
    if (!files.length) return onProblem(nothing);
    onPhoto(files[0]);
    const left = [...files].slice(1).map((file) => file.name);
    if (left.length) onProblem(`One photo at a time: ${files[0].name} is opened, ${left.join(", ")} is not.`);
  };
  for (const button of document.querySelectorAll(".pick")) button.addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    if (input.files.length) take(input.files);
    input.value = ""; // so that the same file may be picked again
  });

  document.addEventListener("paste", (event) => {
    if (event.target.matches("input") && !event.clipboardData.files.length) return; // a token, say
    take(event.clipboardData.files, "There is no picture on the clipboard.");
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
    take(event.dataTransfer.files, "That was no file. Save the picture first, then drop the file here.");
  });
}
