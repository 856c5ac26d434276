"""``deeplab variants`` and ``deeplab models``: what there is."""

from __future__ import annotations

import json

__all__ = ["models", "variants"]


def variants() -> None:
    """Print the paper's networks: what tells them apart, their size and what they see."""
    from deeplab.network.variants import VARIANTS

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
            name,
            variant.title,
            f"{variant.fc6_kernel}x{variant.fc6_kernel}",
            f"{variant.fc6_dilation}",
            f"{variant.fc_channels}",
            f"{variant.parameters():,}",
            f"{variant.field_of_view_px} px",
            f"{variant.receptive_field_px} px",
            f"{variant.score_map_size(513)}x{variant.score_map_size(513)}",
        )
        for name, variant in VARIANTS.items()
    ]
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    for row in (columns, *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def models() -> None:
    """List the shipped models, each with its labels and model card."""
    from deeplab.models import shipped_models
    from deeplab.runtime import ScoreNetwork

    for name, path in shipped_models().items():
        info = ScoreNetwork(path, threads=1).info
        print(f"{name}: {info.variant}, {len(info.label_set)} classes, {path.stat().st_size / 1e6:.1f} MB")
        print(f"  labels: {', '.join(info.label_set.names)}")
        for key, value in info.card.items():
            print(f"  {key}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}")
