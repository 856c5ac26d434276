/** What was found in the open photo: on the stage, in the list of classes, in words. */

import { album } from "./album.js";
import { showLegend, showNothing } from "./legend.js";
import { brush, chooseLabel, tool } from "./tools.js";
import { percent, sharesOf } from "./planes.js";
import { noteFiles } from "./saving.js";
import * as stage from "./stage.js";

const HINTS = {
  correct: "Choose one to see it alone; tick to cut out.",
  untaught: "Add what you look for; then brush over a bit of each, and of the background.",
  teach: "Strokes on two or three photos teach it; correct where it is wrong.",
};

const find = (id) => document.getElementById(id);
const view = { opacity: 0.55, faded: false, isolated: null };
const ticked = new Map(); // by class's name: whether the cut-out shall hold it, where the user has said so

let onEditClass = () => {};

/** Follow the controls of the view; `onEdit` hears which class shall be changed. */
export function followResult(onEdit) {
  onEditClass = onEdit;
  find("opacity").addEventListener("input", () => change({ opacity: find("opacity").value / 100 }));
  find("faded").addEventListener("change", () => change({ faded: find("faded").checked }));
  for (const choice of document.getElementsByName("left")) choice.addEventListener("change", () => change({}));
}

/** Show a class alone, or with null all. */
export function isolate(label) {
  change({ isolated: label });
}

/** Pick what is at a place: to be shown alone, or where that is background or shown alone already, all again. */
export function pickAt(place) {
  const [index, left] = stage.spotAt(place);
  const label = planesAt(left)?.labels[index];
  if (label === undefined) return;
  const shown = !album.open.palette.plain[label] && label !== view.isolated;
  isolate(shown ? label : null);
}

/** Show everything of the open photo as it is now. */
export function render() {
  const { network, shown, palette, info } = album.open;
  const { use, background } = album.project;
  const before = use === "teach" ? "Learnt" : "Network";
  const bare = document.querySelector("input[name=left]:checked").value === "photo" || !network;
  find("side-left").textContent = bare ? "Photo" : before;
  for (const words of document.querySelectorAll(".before-crf")) words.textContent = before;
  find("share").textContent = use === "teach" ? "Share" : "+ CRF";
  find("side-right").textContent = shown ? `${before} + CRF` : "";
  const marking = tool() !== "look";
  document.body.classList.toggle("bare", !shown);
  find("use-hint").textContent = HINTS[use === "teach" && !shown ? "untaught" : use];
  stage.paintLabels(bare || marking ? null : network, shown, palette, view);
  renderMarks();
  const [old, now] = [network, shown].map((planes) => planes && sharesOf(planes.labels, 256));
  const kept = new Set(keptLabels());
  const on = { choose: (label) => choose(label), keep, edit: (label) => onEditClass(label) };
  showLegend(listed(old, now), old, now, { isolated: view.isolated, kept, own: isOwn }, on);
  const nothing = now && use === "correct" && isNothing(now) && background !== null;
  showNothing(nothing ? knownInWords() : "");
  find("mark-it").hidden = !nothing || marking;
  describeFiles();
  stage.describePhoto(`${info.name}: ${sharesInWords()}`);
  if (stage.readPlace()) readAt(stage.readPlace(), false);
}

/** Draw the open photo's marks; `draft` is one that is being drawn. */
export function renderMarks(marks = album.open.history.now) {
  const { info } = album.open;
  stage.paintMarks(marks, info, (label) => labelAt(label)?.colour ?? "#fff");
}

/** Draw the open photo's marks as they are kept, and say whether there is a way back or forth. */
export function showHistory() {
  const { past, future, now } = album.open.history;
  find("undo").disabled = !past.length;
  find("redo").disabled = !future.length;
  find("clear").disabled = !now.length;
  find("work").classList.toggle("marked", now.length > 0);
  renderMarks();
}

/** Show what lies at a place, and the brush there. */
export function readAt(place, byKey) {
  const [index, left] = stage.spotAt(place);
  const planes = planesAt(left);
  const label = planes && labelAt(planes.labels[index]);
  const confidence = planes && `${Math.round((100 * planes.confidence[index]) / 255)} % sure`;
  const seen = tool() === "look" || byKey;
  stage.showReading(place, label && seen ? { ...label, confidence } : null, byKey);
  stage.showBrush(place, brush());
}

/** Return the classes of the cut-out that the photo has, by name. */
export function cutOutNames() {
  return cutOut().map((index) => labelAt(index).name);
}

/** Return what was found, in words. */
export function sharesInWords() {
  const { shown } = album.open;
  if (!shown) return album.project.lacks ?? "not segmented";
  const shares = sharesOf(shown.labels, 256);
  if (album.project.use === "correct" && isNothing(shares)) return knownInWords();
  const found = album.project.classes.filter(({ index }) => shares[index]).sort((a, b) => shares[b.index] - shares[a.index]);
  return found.map(({ index, name }) => `${name} ${percent(shares[index])}`).join(", ");
}

function change(part) {
  Object.assign(view, part);
  if (album.open) render();
}

/** A class of the list: to be marked with, where a tool is taken, and else to be shown alone. */
function choose(label) {
  if (tool() === "look") return isolate(label === view.isolated ? null : label);
  chooseLabel(label);
  isolate(null);
}

function keep(label, kept) {
  ticked.set(labelAt(label).name, kept);
  render();
}

/** The classes to list: all of one's own, and of the model's those found, by the network's share, so that rows keep their places. */
function listed(before, after) {
  const { use, classes } = album.project;
  if (use === "teach") return classes;
  const has = ({ index }) => before?.[index] || after?.[index] || isOwn(index);
  return classes.filter(has).sort((a, b) => (before?.[b.index] ?? 0) - (before?.[a.index] ?? 0));
}

function isOwn(label) {
  return label >= album.project.known;
}

function keptLabels() {
  const { classes, background } = album.project;
  const unasked = (index) => background !== null && index !== background;
  return classes.filter(({ index, name }) => ticked.get(name) ?? unasked(index)).map(({ index }) => index);
}

/** Return the labels that the cut-out holds. */
function cutOut() {
  return view.isolated === null ? keptLabels() : [view.isolated];
}

function describeFiles() {
  const { made, result } = album.open;
  const { full_width, full_height } = album.open.info;
  const size = `${full_width} × ${full_height} px: the photo was ${made}, as no larger one is taken`;
  const shares = result && sharesOf(result.labels, 256);
  const names = result ? cutOut().filter((index) => shares[index]).map((index) => labelAt(index).name) : [];
  const missing = view.isolated === null ? "tick the classes that it shall hold" : "the CRF left none of this class";
  const reason = !result ? "nothing is segmented yet" : isNothing(shares) ? "nothing was found" : missing;
  noteFiles(made ? size : "the photo's full size", names, `There is no cut-out: ${reason}.`);
}

/** Whether there is nothing but background. */
function isNothing(shares) {
  const { background } = album.project;
  return background !== null && shares.every((share, label) => !share || label === background);
}

function knownInWords() {
  const { classes, background, model } = album.project;
  const known = classes.filter(({ index }) => index !== background).map(({ name }) => name);
  return `Nothing was found. What ${model} knows: ${known.join(", ")}.`;
}

function planesAt(left) {
  if (!album.open) return null;
  const networkSeen = left && tool() === "look" && find("side-left").textContent !== "Photo";
  return networkSeen ? album.open.network : album.open.shown;
}

function labelAt(index) {
  return album.project.classes.find((label) => label.index === index);
}
