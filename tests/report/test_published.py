"""Published figures, checked against what their tables imply."""

from __future__ import annotations

import pytest

from deeplab.network.variants import VARIANTS, find_variant
from deeplab.report.published import TRIMAP, TRIMAP_ENDS, published_figure, published_rows, training_speed

NETWORK, CRF = "network", "network + CRF"


@pytest.mark.parametrize(
    ("benchmark", "network", "measure", "expected"),
    [
        ("voc2012", "largefov", "mean_iou", (0.6225, 0.6764)),  # the paper, table 2
        ("voc2012", "msc-largefov", "mean_iou", (0.6421, 0.6870)),
        ("voc2012", "deeplab-4x4", "mean_iou", (None, 0.6714)),
        ("voc2012", "fcn8s", "mean_iou", (None, None)),
        ("camvid", "largefov", "mean_iou", (0.5388, 0.5474)),
        ("camvid", "largefov", "boundary_f1", (0.3277, 0.4079)),
    ],
)
def test_what_was_published_of_our_networks(
    benchmark: str, network: str, measure: str, expected: tuple[float | None, ...]
) -> None:
    assert tuple(published_figure(benchmark, network, way, measure) for way in (NETWORK, CRF)) == expected


def test_every_network_named_exists_and_every_row_has_a_source() -> None:
    for benchmark in ("voc2012", "camvid"):
        rows = published_rows(benchmark)
        assert rows
        for row in rows:
            assert row.source
            assert row.way in (NETWORK, CRF)
            assert row.network is None or find_variant(row.network)
            assert all(0 < value < 100 for value in row.percent.values())


def test_the_papers_ordering_holds_in_its_own_figures() -> None:
    for name in VARIANTS:
        alone, refined = (published_figure("voc2012", name, way, "mean_iou") for way in (NETWORK, CRF))
        assert alone is None or refined is None or alone < refined
    for ends in (TRIMAP, TRIMAP_ENDS):
        for curve in ends.values():
            assert list(curve.values()) == sorted(curve.values())
        assert ends["DeepLab"][1] < ends["DeepLab-MSc"][1] < ends["DeepLab-CRF"][1] < ends["DeepLab-MSc-CRF"][1]


def test_only_the_papers_training_speeds_are_given() -> None:
    assert training_speed("largefov") == 4.84
    assert training_speed("msc-largefov") is None
