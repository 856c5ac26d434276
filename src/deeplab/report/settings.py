"""The settings of a run, to judge and repeat it: deviations, recipes, machine, versions, times."""

from __future__ import annotations

import json
from collections.abc import Sequence

from deeplab.report.content import Report
from deeplab.report.markup import Html, join, note, section, table, tag
from deeplab.report.numbers import NOTHING, clock


def deviations(content: Report) -> Html:
    """List what differs from the paper."""
    parts = [_list(content.deviations)]
    for network in content.networks:
        parts += [tag("h3", network.title), _list(network.deviations)]
        recipe, card = network.recipe, dict(network.model.card)
        if recipe is not None:
            card.pop("recipe", None)  # the same, with all defaults
            parts.append(_verbatim(f"The recipe, {recipe.file}", recipe.text))
        if card:
            words = json.dumps(card, ensure_ascii=False, indent=2)
            parts.append(_verbatim("What the model file says of itself", words))
    return section("deviations", "Deviations from the paper", *parts)


def _verbatim(title: str, text: str) -> Html:
    return tag("details", tag("summary", title), tag("pre", text, tabindex=0))


def _list(told: Sequence[str]) -> Html:
    return tag("ul", *(tag("li", line) for line in told)) if told else tag("p", "None.")


def settings(content: Report) -> Html:
    """List machine, versions, models and times."""
    machine, versions = content.machine, content.versions
    crf = content.networks[0].search.crf
    facts = {
        "made": content.made.replace("T", " ").replace("+00:00", " UTC"),
        "seed": str(content.seed),
        "CRF": f"{crf.iterations} mean field updates, messages normalised {crf.normalization!r}",
        "CRF search": content.crf_search,
        "processor": f"{machine.processor}, {machine.cores} cores",
        "memory": f"{machine.memory_gb} GB" if machine.memory_gb is not None else NOTHING,
        "system": machine.system,
        "versions": ", ".join(f"{name} {number}" for name, number in versions.items()),
    }
    pairs = [part for name, value in facts.items() for part in (tag("dt", name), tag("dd", value))]
    return section("settings", "How this was made", tag("dl", *pairs), _models(content), _times(content))


def _models(content: Report) -> Html:
    columns = ["network", "model", "file", "SHA-256"]
    rows = [
        [
            network.title,
            f"{network.model.name}, {network.model.origin}",
            f"{network.model.file}, {network.model.bytes / 1e6:.1f} MB",
            tag("code", network.model.sha256[:16] + "…"),
        ]
        for network in content.networks
    ]
    return table("Model files", columns, rows, class_="words")


def _times(content: Report) -> Html:
    steps = list(dict.fromkeys(step for network in content.networks for step in network.seconds))
    rows = [
        [
            network.title,
            *(clock(network.seconds[step]) if step in network.seconds else NOTHING for step in steps),
        ]
        for network in content.networks
    ]
    whole = table("Time that each step took when it was last done", ["network", *steps], rows)
    return join([whole, note("A step that was stopped counts from when it was taken up again.")])
