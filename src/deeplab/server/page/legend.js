/** The classes found, with the share of each before and after the CRF. */

import { percent } from "./planes.js";

const rows = document.getElementById("legend");

/**
 * Show the classes with their shares.
 * @param {{index: number, name: string, colour: string}[]} labels those to show, in this order
 * @param {ArrayLike<number>} before share by label, 0–1
 * @param {ArrayLike<number>} after the same, with the CRF
 * @param {?number} isolated the label shown alone
 * @param {(label: number) => void} onChoose hears which class was chosen
 */
export function showLegend(labels, before, after, isolated, onChoose) {
  labels.forEach((label, place) => {
    const row = rows.children[place] ?? rows.appendChild(emptyRow());
    const [button, share, newShare] = [row.querySelector("button"), row.cells[1], row.cells[2]];
    button.firstChild.style.backgroundColor = label.colour;
    button.lastChild.textContent = label.name;
    button.onclick = () => onChoose(label.index);
    button.setAttribute("aria-pressed", String(label.index === isolated));
    share.textContent = percent(before[label.index]);
    newShare.textContent = percent(after[label.index]);
    row.style.setProperty("--share", `${100 * after[label.index]}%`);
  });
  while (rows.children.length > labels.length) rows.lastChild.remove();
}

function emptyRow() {
  const row = document.createElement("tr");
  const head = row.appendChild(document.createElement("th"));
  head.scope = "row";
  const button = head.appendChild(document.createElement("button"));
  button.type = "button";
  button.appendChild(document.createElement("i")).className = "swatch";
  button.appendChild(document.createElement("span"));
  row.insertCell();
  row.insertCell();
  return row;
}
