"""The paper's pipeline in one screen: for every network train, score, search, evaluate; then one report of all."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from deeplab.crf import CRFSettings
from deeplab.files import atomic_file
from deeplab.progress import Say, Show
from deeplab.report.page import render_page
from deeplab.reproduce.content import NetworkResults, collect
from deeplab.reproduce.measuring import evaluate, measure_speed, search_crf, store
from deeplab.reproduce.networks import obtain
from deeplab.reproduce.pictures import draw_gallery, draw_mean_field
from deeplab.reproduce.plan import Plan
from deeplab.reproduce.steps import Workspace
from deeplab.reproduce.work import Work, choose


def reproduce(plan: Plan, say: Say, show: Show) -> Path:
    """Do what a plan asks, or go on where it stopped, and write the report.

    The output folder gets ``report.html``, one file that loads nothing else, ``report.json`` with every figure in it,
    and a folder for each network with its steps: their results and what each was made from, so that a step whose inputs
    are unchanged is not done again.

    Args:
        plan: from `deeplab.reproduce.plan.make_plan`.
        say: takes lines about what happens.
        show: takes progress.

    Returns:
        The path of ``report.html``.

    Raises:
        DataError, ImageError: photos, masks or lists are missing or wrong.
        ModelError: weights do not fit, or training fails.
        OutputError: a file cannot be written.
        InputError: recipes and machine do not go together.
    """
    photos = choose(plan)
    results = []
    for name in plan.variants:
        workspace = Workspace(plan.output / name, say, show)
        workspace.make_folder()
        model = obtain(plan, name, workspace)  # fine-tuned from ImageNet (section 5), or given
        scores = store(plan, model, photos, workspace)  # dense scores of every photo (sections 3.1, 3.2)
        work = Work(plan, photos, workspace, model, scores)
        search = search_crf(work)  # the CRF for this network (section 4.2)
        crf = CRFSettings.from_dict(search.result["crf"])
        evaluation = evaluate(work, crf)  # tables 1 and 3, figure 5
        speed = measure_speed(work, crf)  # table 2
        gallery = draw_gallery(work, crf, evaluation.result)  # figures 4 and 7
        mean_field = draw_mean_field(work, crf, evaluation.result)  # figure 2
        results.append(NetworkResults(name, work, search, evaluation, speed, gallery, mean_field))
    content = collect(plan, photos, results)
    written = {
        "report.json": json.dumps(asdict(content), ensure_ascii=False, indent=1),
        "report.html": render_page(content, plan.output),
    }
    for name, text in written.items():
        with atomic_file(plan.output / name, overwrite=True) as file:
            file.write(text.encode())
    return plan.output / "report.html"
