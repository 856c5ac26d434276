"""``deeplab variants`` and ``deeplab models``: what there is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from deeplab.cli.manners import JsonOption, json_output


def variants(as_json: JsonOption = False) -> None:
    """Print the paper's networks: what tells them apart, their size and what they see.

    Examples:
        deeplab variants
        deeplab variants --json | jq '.result[].parameters'
    """
    from deeplab.network.variants import VARIANTS

    with json_output("variants", asked=as_json) as document:
        document["result"] = [
            {
                "name": name,
                "network": variant.title,
                "fc6_kernel": variant.fc6_kernel,
                "fc6_dilation": variant.fc6_dilation,
                "channels": variant.fc_channels,
                "parameters": variant.parameters(),
                "field_of_view_px": variant.field_of_view_px,
                "receptive_field_px": variant.receptive_field_px,
                "scores_at_513_px": variant.score_map_size(513),
            }
            for name, variant in VARIANTS.items()
        ]
    if as_json:
        return

    columns = (
        "name",
        "network",
        "fc6 kernel",
        "input stride",
        "channels",
        "parameters",
        "field of view",
        "receptive field",
        "scores at 513",
    )
    rows = [
        (
            row["name"],
            row["network"],
            f"{row['fc6_kernel']}x{row['fc6_kernel']}",
            f"{row['fc6_dilation']}",
            f"{row['channels']}",
            f"{row['parameters']:,}",
            f"{row['field_of_view_px']} px",
            f"{row['receptive_field_px']} px",
            f"{row['scores_at_513_px']}x{row['scores_at_513_px']}",
        )
        for row in document["result"]
    ]
    print_table([columns, *rows])


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows of cells in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def models(as_json: JsonOption = False) -> None:
    """List the shipped models, each with its labels and model card.

    Examples:
        deeplab models
        deeplab models --json | jq -r '.result[].name'
    """
    from deeplab.models import shipped_models
    from deeplab.runtime import ScoreNetwork

    with json_output("models", asked=as_json) as document:
        found: list[dict[str, Any]] = []
        document["result"] = found
        for path in shipped_models().values():
            said = ScoreNetwork(path, threads=1).info.to_dict()
            found.append({"name": path.stem, "file": str(path), "bytes": path.stat().st_size, "says": said})
    if as_json:
        return
    for model in found:
        said = model["says"]
        names = said["label_set"]["names"]
        print(f"{model['name']}: {said['variant']}, {len(names)} classes, {model['bytes'] / 1e6:.1f} MB")
        print(f"  labels: {', '.join(names)}")
        for key, value in said["card"].items():
            print(f"  {key}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}")
