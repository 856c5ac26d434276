/** The page: photos come in, are segmented, marked, corrected or learnt from, and saved. */

import { album, takeOver } from "./album.js";
import { followSegmentAll, makeExport } from "./all_photos.js";
import * as engine from "./api.js";
import { askForClass, followClasses } from "./classes.js";
import * as editing from "./editing.js";
import { takePhotos } from "./intake.js";
import { withMark } from "./marks.js";
import { add, giveUp, lastOpened, open, remove, showPhotos, showProject, step } from "./opening.js";
import { followParameters } from "./parameters.js";
import { followPlayer } from "./player.js";
import { followPointing } from "./pointing.js";
import * as result from "./result.js";
import { followSaving } from "./saving.js";
import { segmentAgain, showStep } from "./segmenting.js";
import * as stage from "./stage.js";
import { showProblem } from "./telling.js";
import * as tools from "./tools.js";

const REFINE_PAUSE_MS = 120; // without a further move of a slider
const PENDING_PAUSE_MS = 1000; // where the engine could not look at a photo now

const find = (id) => document.getElementById(id);
const click = (id, work) => find(id).addEventListener("click", work);

takePhotos(add, showProblem);
stage.followSplit();
followPointing({
  draws: () => album.open !== null && tools.tool() !== "look",
  isInstant: () => tools.tool() === "fill",
  size: stage.workingSize,
  hover: (place, byKey) => album.open && result.readAt(place, byKey),
  leave: stage.hideReading,
  draw: (trail) => drawDraft(trail),
  drawn: (trail) => {
    const mark = markOf(trail);
    if (mark) editing.addMark(mark);
    else result.renderMarks();
  },
  undrawn: () => album.open && result.renderMarks(),
  pick: (place, byTouch) => album.open && !byTouch && result.pickAt(place),
});
tools.followTools(() => album.open && result.render());
result.followResult((label) => editing.doing(() => changeClass(label)));
followParameters(() => editing.doing(() => segmentAgain(REFINE_PAUSE_MS)), editing.keepParameters);
followPlayer((iteration) => editing.doing(() => showStep(iteration)));
followSaving(
  (what) => editing.doing(() => makeFile(what)),
  (what) => editing.doing(() => makeExport(what)),
);
followSegmentAll(editing.doing);
followClasses({ use: editing.takeUse, add: editing.addClass, mark: markClass });

const clicks = {
  "mark-it": () => markClass(null), cancel: giveUp, undo: editing.undo, redo: editing.redo, clear: editing.clearMarks,
  previous: () => step(-1), next: () => step(1), remove: () => editing.doing(remove),
};
for (const [id, work] of Object.entries(clicks)) document.getElementById(id).addEventListener("click", work);
document.addEventListener("keydown", followKey);
addEventListener("focus", editing.refresh);
start();

/** Go on where the page was left, or wait for a photo. */
async function start() {
  await editing.doing(async () => {
    try {
      const project = await engine.resume();
      if (!project) return;
      takeOver(project);
      showProject();
      if (album.photos.length) open(lastOpened());
      await takeInPending();
    } catch (error) {
      if (error.code !== "unknown_project") throw error;
      showProblem("The server was restarted, and has forgotten this page's photos. Please open them again.");
    }
  });
}

/** Photos that lie in the project's folder are looked at one by one, each time the project is asked for. */
async function takeInPending() {
  while (album.project.pending) {
    const { pending } = album.project;
    takeOver(await engine.fetchProject());
    if (album.project.pending === pending) await new Promise((resolve) => setTimeout(resolve, PENDING_PAUSE_MS));
    if (album.open || document.body.dataset.state === "busy") showPhotos();
    else if (album.photos.length) open(lastOpened());
  }
  if (album.project.skipped.length) showProblem(`Not taken in: ${album.project.skipped.join("; ")}`);
}

function markOf(trail) {
  return tools.markOf(trail, album.open.info, stage.photoRaster);
}

function drawDraft(trail) {
  const mark = markOf(trail);
  result.renderMarks(mark ? withMark(album.open.history.now, mark) : undefined);
}

/** Take the brush, for a class or for the one that is chosen. */
function markClass(label) {
  if (label !== null) tools.chooseLabel(label);
  tools.takeTool("brush");
  result.isolate(null);
  document.getElementById("pointer").focus();
}

async function changeClass(label) {
  const { classes, known } = await engine.fetchProject(); // it knows what is marked by now
  const changed = await askForClass(classes[label], label >= known && classes.length > 1);
  if (changed !== undefined) editing.editClass(label, changed);
}

function makeFile(what) {
  return engine.makeFile(album.open.info.id, what, what === "cutout.png" ? result.cutOutNames() : []);
}

function followKey(event) {
  if (!album.open || document.querySelector("dialog[open]")) return;
  const typing = event.target.matches("input:not([type=range], [type=radio], [type=checkbox])");
  const command = event.ctrlKey || event.metaKey;
  const key = event.key.toLowerCase();
  if (event.key === "Escape") result.isolate(null);
  else if (typing) return;
  else if (command && key === "z") (event.shiftKey ? editing.redo : editing.undo)();
  else if (command && key === "y") editing.redo();
  else if ((event.key === "PageUp" || event.key === "PageDown") && event.target.closest("#stage, #album")) {
    step(event.key === "PageUp" ? -1 : 1);
  } else return;
  if (event.key !== "Escape") event.preventDefault();
}
