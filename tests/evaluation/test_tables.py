from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from deeplab.errors import InputError
from deeplab.evaluation.confusion import Confusion
from deeplab.evaluation.evaluate import Evaluation, Outcome
from deeplab.evaluation.tables import confusion_csv, format_table, format_trimap, to_json
from deeplab.labels import LabelSet

PETS = LabelSet("pets", ("none", "cat", "dog", "fish"))


def outcome(*photos: list[list[int]]) -> Outcome:
    confusions = [Confusion(np.array(counts), PETS) for counts in photos]
    return Outcome(sum(confusions[1:], confusions[0]), np.stack([confusion.tally for confusion in confusions]))


HALF = [[25, 5, 0, 0], [0, 10, 0, 0], [0, 5, 5, 0], [0, 0, 0, 0]]
FULL = [[30, 0, 0, 0], [0, 10, 0, 0], [0, 0, 10, 0], [0, 0, 0, 0]]
EXAMPLE = Evaluation({"network": outcome(HALF, HALF), "network + CRF": outcome(FULL, FULL)}, {"model": "tiny"})
TABLE = """\
IoU, % (2 photos)              network         network + CRF                    gain
------------------------------------------------------------------------------------
none                             83.33                100.00  +16.67 [+16.7, +16.7]
cat                              50.00                100.00  +50.00 [+50.0, +50.0]
dog                              50.00                100.00  +50.00 [+50.0, +50.0]
fish                                 –                     –                      –
------------------------------------------------------------------------------------
mean IoU, 3 of 4 classes   61.11 [61.1, 61.1]  100.00 [100.0, 100.0]  +38.89 [+38.9, +38.9]
mean IoU, 2 classes*  50.00 [50.0, 50.0]  100.00 [100.0, 100.0]  +50.00 [+50.0, +50.0]
pixel accuracy        80.00 [80.0, 80.0]  100.00 [100.0, 100.0]  +20.00 [+20.0, +20.0]
mean class accuracy   77.78 [77.8, 77.8]  100.00 [100.0, 100.0]  +22.22 [+22.2, +22.2]
[ ]: 95% interval, bootstrap over photos (1000 sets)
* cat, dog"""


def words(table: str) -> list[list[str]]:
    return [line.split() for line in table.splitlines() if set(line) != {"-"}]


def test_the_table_reads_as_drawn_here() -> None:
    """Two photos alike: every interval is a point. (Compared word by word; the columns' widths are not.)"""
    table = format_table(EXAMPLE, ("cat", "dog"))
    assert words(table) == words(TABLE)
    assert len({len(line) for line in table.splitlines()[:-2]}) == 1
    plain = format_table(EXAMPLE, resamples=0)
    assert "[" not in plain
    assert "*" not in plain


def test_a_class_that_is_found_but_never_there_is_a_dash_and_in_no_mean() -> None:
    taken = [[20, 5, 0, 5], [0, 0, 0, 0], [0, 5, 5, 0], [0, 0, 0, 0]]  # cats and fish are seen, none is there
    evaluation = Evaluation({"network": outcome(HALF, taken), "network + CRF": outcome(FULL, FULL)})
    alone = Evaluation({"predictions": outcome(taken)})
    lines = [" ".join(line) for line in words(format_table(alone, ("cat", "dog"), resamples=0))]
    assert lines[1:] == [
        "none 66.67",
        "cat –",
        "dog 50.00",
        "fish –",
        "mean IoU, 2 of 4 classes 58.33",
        "mean IoU, 1 of 2 classes* 50.00",
        "pixel accuracy 62.50",
        "mean class accuracy 58.33",
        "* cat, dog",
    ]
    assert to_json(alone)["results"]["predictions"]["iou"]["cat"] is None
    assert [line for line in words(format_table(evaluation)) if line[0] == "fish"] == [["fish", "–", "–", "–"]]


def test_the_json_holds_the_same_figures() -> None:
    content = json.loads(json.dumps(to_json(EXAMPLE, ("cat", "dog")), allow_nan=False))
    assert content["model"] == "tiny"
    network = content["results"]["network"]
    assert network["mean_iou"] == pytest.approx(0.6111, abs=1e-4)
    assert network["intervals"]["mean_iou"] == pytest.approx([0.6111, 0.6111], abs=1e-4)
    assert network["mean_iou_over_classes"] == 0.5
    assert network["iou"] == {"none": pytest.approx(5 / 6), "cat": 0.5, "dog": 0.5, "fish": None}
    assert network["confusion"][2] == [0, 10, 10, 0]
    assert content["gain"]["mean_iou"] == pytest.approx([0.3889] * 3, abs=1e-4)
    assert content["gain"]["iou"]["fish"] == [None] * 3
    assert network["trimap"] == {"mean_iou": [], "pixel_accuracy": []}
    assert content["trimap_gain"] == {"mean_iou": [], "pixel_accuracy": []}
    without = to_json(EXAMPLE, resamples=0)
    assert without["results"]["network"]["intervals"]["mean_iou"] == [None, None]


def test_bands_become_a_table_and_curves() -> None:
    assert format_trimap(EXAMPLE) == ""
    bands = np.stack([np.arange(1, 41)[:, None, None] * Confusion(np.array(HALF), PETS).tally] * 2).astype(np.int32)
    first = EXAMPLE.outcomes["network"]
    evaluation = Evaluation({"network": Outcome(first.confusion, first.tallies, bands)})
    overlap, accuracy = (words(table) for table in format_trimap(evaluation).split("\n\n"))
    assert overlap[0] == ["mean", "IoU", "near", "boundaries,", "%", "network"]
    assert accuracy[0] == ["pixel", "accuracy", "near", "boundaries,", "%", "network"]
    assert [row[0] for row in overlap[1:]] == ["1", "5", "10", "20", "40"]
    assert (overlap[1][2:], accuracy[1][2:]) == (["61.11"], ["80.00"])
    curves = to_json(evaluation)["results"]["network"]["trimap"]
    assert curves["pixel_accuracy"] == [pytest.approx([0.8, 0.8, 0.8])] * 40


def test_bands_of_two_ways_come_with_the_gain() -> None:
    def with_bands(way: str, counts: list[list[int]]) -> Outcome:
        bands = np.stack([np.stack([Confusion(np.array(counts), PETS).tally] * 40)] * 2).astype(np.int32)
        return Outcome(EXAMPLE.outcomes[way].confusion, EXAMPLE.outcomes[way].tallies, bands)

    right = np.diag(np.array(HALF).sum(1)).tolist()
    evaluation = Evaluation(
        {"network": with_bands("network", HALF), "network + CRF": with_bands("network + CRF", right)}
    )
    overlap, accuracy = (words(table) for table in format_trimap(evaluation).split("\n\n"))
    assert overlap[0][-1] == accuracy[0][-1] == "gain"
    # all photos are alike, so that no set of them has another gain
    assert overlap[3][2:] == ["61.11", "100.00", "+38.89", "[+38.9,", "+38.9]"]
    assert accuracy[3][2:] == ["80.00", "100.00", "+20.00", "[+20.0,", "+20.0]"]
    assert words(format_trimap(evaluation, resamples=0))[3][-1] == "+38.89"
    assert to_json(evaluation)["trimap_gain"]["pixel_accuracy"] == [pytest.approx([0.2] * 3)] * 40


def test_the_csv_holds_the_matrices() -> None:
    rows = list(csv.reader(confusion_csv(EXAMPLE).splitlines()))
    assert rows[0] == ["labelled by", "true class", "none", "cat", "dog", "fish"]
    assert rows[3] == ["network", "dog", "0", "10", "10", "0"]
    assert rows[5] == ["network + CRF", "none", "60", "0", "0", "0"]
    assert len(rows) == 9


def test_an_unknown_class_is_named() -> None:
    with pytest.raises(InputError, match="unknown class 'kat'"):
        format_table(EXAMPLE, ("kat",))
