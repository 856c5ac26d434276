/** What the page says of itself: its state, progress, problems, and what is read aloud. */

const find = (id) => document.getElementById(id);
const problem = find("problem");
const mend = find("mend");

find("dismiss").addEventListener("click", () => showProblem(""));

/** Be `empty`, `busy` or `open`. */
export function setState(state) {
  document.body.dataset.state = state;
  for (const part of document.querySelectorAll("aside, .player, .tools, #album, #pointer, #split")) part.inert = state !== "open";
}

export function showTitle(name, facts) {
  find("photo-name").textContent = name;
  find("photo-facts").textContent = facts;
  document.title = name ? `${name} · deeplab` : "deeplab";
}

export function showProgress(words, share) {
  find("progress-label").textContent = words;
  if (share === undefined) find("progress").removeAttribute("value");
  else find("progress").value = share;
  if (find("status").textContent !== words) announce(words);
}

/** Say something to those who do not see it. */
export function announce(words) {
  find("status").textContent = words;
}

/**
 * Show what went wrong; "" shows nothing.
 * @param {string} words
 * @param {?{name: string, run: () => void}} remedy what the user may do about it
 */
export function showProblem(words, remedy = null) {
  problem.firstElementChild.textContent = words;
  document.body.classList.toggle("has-problem", words !== "");
  mend.hidden = !remedy;
  mend.textContent = remedy?.name ?? "";
  mend.onclick = () => {
    showProblem("");
    remedy.run();
  };
}
