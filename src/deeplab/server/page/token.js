/** The question for the token that some servers ask for. */

const dialog = document.getElementById("token");
const field = document.getElementById("token-value");
const note = document.getElementById("token-note");

/** Ask; `again` where the last token was wrong. Resolves to the token, or to null where the user would not say. */
export function askForToken(again) {
  note.textContent = again ? "That was not the token. Please try again." : "Whoever started it knows the token.";
  field.value = "";
  dialog.returnValue = "cancel";
  dialog.showModal();
  return new Promise((resolve) => {
    const answer = () => resolve(dialog.returnValue === "send" ? field.value : null);
    dialog.addEventListener("close", answer, { once: true });
  });
}
