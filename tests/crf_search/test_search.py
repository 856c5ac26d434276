from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from numpy.typing import NDArray

from deeplab.crf import CRFParams, CRFSettings
from deeplab.crf_search.files import best_yaml, to_json, trials_csv
from deeplab.crf_search.heat_map import heat_map_svg
from deeplab.crf_search.results import cost_lines, result_lines
from deeplab.crf_search.search import (
    MOST_TRIED,
    PAPER_GRID,
    Objective,
    Search,
    choose_photos,
    grid_search,
    refine_best,
)
from deeplab.errors import DataError, InputError
from deeplab.labels import LabelSet

PETS = LabelSet("pets", ("none", "cat"))
PHOTOS = 40


class FakeTrials:
    """Trials whose outcome is a function of the parameters: the share of pixels right, a little off in each photo."""

    def __init__(self, right: Callable[[CRFParams], float]) -> None:
        self._right = right
        self._luck = np.random.default_rng(0).normal(0, 20, PHOTOS).astype(np.int64)
        self._measured: dict[CRFParams, int] = {}
        self.samples = [SimpleNamespace(name=f"{number}") for number in range(PHOTOS)]
        info = SimpleNamespace(name="fake", crf=CRFSettings(CRFParams(5, 50, 5)))
        self.scores = SimpleNamespace(info=info, model_sha256="ab12")
        self.label_set, self.band, self.crf = PETS, None, CRFSettings()
        self.runs, self.seconds, self.processor_seconds, self.threads = 0, 0.0, 0.0, 2

    def measure(self, stage: str, tried: Sequence[CRFParams], photos: int | None = None) -> None:
        for params in tried:
            missing = (photos or PHOTOS) - self._measured.get(params, 0)
            self.runs += max(missing, 0)
            self.seconds += 0.1 * max(missing, 0)
            self._measured[params] = max(photos or PHOTOS, self._measured.get(params, 0))

    def photos_of(self, params: CRFParams) -> int:
        return self._measured.get(params, 0)

    def tallies(self, params: CRFParams | None, photos: int | None = None) -> NDArray[np.int64]:
        assert params is None or (photos or PHOTOS) <= self._measured[params]
        share = 0.3 if params is None else self._right(params)
        hits = np.full(PHOTOS, round(10_000 * share)) + self._luck
        zero = np.zeros(PHOTOS, np.int64)
        rows = [[hits, zero], [zero + 10_000, zero], [hits, 10_000 - hits]]
        return np.moveaxis(np.array(rows), 2, 0)[:photos, None]


def peak(weight: float, xy: float, rgb: float) -> Callable[[CRFParams], float]:
    def right(params: CRFParams) -> float:
        away = ((params.bilateral_weight - weight) / 5, (params.bilateral_xy_std_px - xy) / 40,
                (params.bilateral_rgb_std - rgb) / 5)  # fmt: skip
        return float(0.8 * np.exp(-np.square(away).sum()))

    return right


def test_the_grid_is_the_papers() -> None:
    assert len(PAPER_GRID) == len(set(PAPER_GRID)) == 6 * 6 * 8
    assert {params.bilateral_weight for params in PAPER_GRID} == set(range(5, 11))
    assert {params.bilateral_xy_std_px for params in PAPER_GRID} == set(range(50, 101, 10))
    assert {params.bilateral_rgb_std for params in PAPER_GRID} == set(range(3, 11))
    assert {(params.spatial_weight, params.spatial_xy_std_px) for params in PAPER_GRID} == {(3, 3)}


@pytest.mark.parametrize(
    "at",
    [(7, 70, 6), (7.5, 65, 6.5), (3, 95, 3), (5, 35, 2), (12.5, 120, 13)],
    ids=["on the grid", "between its points", "the authors' MSc", "below it", "above it"],
)
def test_the_search_ends_at_the_peak_wherever_it_lies(at: tuple[float, float, float]) -> None:
    search: Any = Search(FakeTrials(peak(*at)))  # type: ignore[arg-type]
    assert grid_search(search) == CRFParams(*at)


def test_the_search_does_not_walk_on_for_next_to_nothing() -> None:
    search: Any = Search(FakeTrials(lambda params: 0.5 + 0.0002 * params.bilateral_weight))  # type: ignore[arg-type]
    search.measure("start", [CRFParams(5, 50, 5)])
    refine_best(search, "refinement", (1.0, 10.0, 1.0))
    assert len(search.stages) == 27
    assert search.best().bilateral_weight == 6


def test_with_voters_only_the_foremost_neighbours_are_tried_on_all_photos() -> None:
    search: Any = Search(FakeTrials(lambda params: 0.5 + 0.0002 * params.bilateral_weight))  # type: ignore[arg-type]
    search.measure("start", [CRFParams(5, 50, 5)])
    refine_best(search, "refinement", (1.0, 10.0, 1.0), voters=10)
    assert len(search.stages) == 27
    first, *others = search.complete()  # nine neighbours lead
    assert first == CRFParams(5, 50, 5)
    assert [params.bilateral_weight for params in others] == [6] * MOST_TRIED


def test_the_search_never_leaves_what_is_possible() -> None:
    search: Any = Search(FakeTrials(peak(-3, -30, -3)))  # type: ignore[arg-type]
    best = grid_search(search)
    assert 0 <= best.bilateral_weight <= 0.5
    assert 0 < best.bilateral_xy_std_px <= 10
    assert 0 < best.bilateral_rgb_std <= 1


def test_weights_that_were_learnt_label_by_label_move_together(tmp_path: Path) -> None:
    from deeplab.models.card_files import load_card

    learnt = CRFParams((1, 3), 50, 5, (2, 2.5), 3, [[0, 1], [2, 0]])  # type: ignore[arg-type]

    def right(params: CRFParams) -> float:
        value = 0.8 if params.compatibility else 0.5
        return value - 0.01 * abs(params.numbers()["bilateral_weight"] - 4)

    search: Any = Search(FakeTrials(right))  # type: ignore[arg-type]
    search.measure("known before", [learnt, *PAPER_GRID[:2]])
    refine_best(search, "around", (1, 10, 1))
    best = search.best()
    assert best.bilateral_weight == (3, 5)
    assert best.compatibility == learnt.compatibility
    (tmp_path / "best.yaml").write_text(best_yaml(search))
    assert load_card(tmp_path / "best.yaml").crf.params == best
    assert "w1 = 4, " in result_lines(search)[0]
    assert "learnt label by label" in result_lines(search)[0]
    assert trials_csv(search)
    assert heat_map_svg(search)
    assert json.loads(json.dumps(to_json(search)))["crf"]["params"]["bilateral_weight"] == [3, 5]


def test_the_smart_search_reaches_the_grids_optimum_in_a_fraction_of_the_runs() -> None:
    smart_search = pytest.importorskip("deeplab.crf_search.smart", reason="needs optuna").smart_search
    whole: Any = Search(FakeTrials(peak(7.5, 65, 6.5)))  # type: ignore[arg-type]
    smart: Any = Search(FakeTrials(peak(7.5, 65, 6.5)))  # type: ignore[arg-type]
    assert smart.objective.of(smart.trials.tallies(None)) < whole.value(grid_search(whole))
    best = smart_search(smart, trials=30)
    assert smart.value(best) >= whole.value(whole.best()) - 1e-9
    assert smart.trials.runs < whole.trials.runs / 3
    dropped = [trial for trial in smart.ranking() if trial.photos < PHOTOS]
    assert dropped
    assert {trial.photos for trial in dropped} == {10}
    again: Any = Search(FakeTrials(peak(7.5, 65, 6.5)))  # type: ignore[arg-type]
    smart_search(again, trials=30)
    assert again.stages == smart.stages  # so that a search started again finds its trials in the journal


def test_photos_are_chosen_by_seed() -> None:
    samples: Any = list(range(300))
    assert len(set(choose_photos(samples))) == 100
    assert choose_photos(samples) == choose_photos(samples)
    assert choose_photos(samples, seed=1) != choose_photos(samples)
    assert choose_photos(samples, 20) == choose_photos(samples)[:20]  # more photos measure only what is new
    assert sorted(choose_photos(samples, 1000)) == samples
    with pytest.raises(InputError, match="at least one photo, got 0"):
        choose_photos(samples, 0)


def test_objectives_are_of_their_own_region_and_labels() -> None:
    tallies = np.zeros((2, 2, 3, 2), np.int64)
    tallies[:, 0] = [[6, 4], [8, 12], [14, 6]]
    tallies[:, 1] = [[1, 1], [2, 2], [2, 2]]
    assert Objective("pixels").of(tallies) == 0.5
    assert Objective("miou").of(tallies) == pytest.approx((6 / 16 + 4 / 14) / 2)
    assert Objective("miou", (1,)).of(tallies) == pytest.approx(4 / 14)
    assert Objective("trimap").of(tallies) == pytest.approx(1 / 3)


def test_objectives_that_cannot_be_are_errors() -> None:
    with pytest.raises(InputError, match="objective is 'iou'; expected one of 'miou'"):
        Objective("iou")
    fake: Any = FakeTrials(peak(5, 50, 3))
    with pytest.raises(InputError, match="needs a band"):
        Search(fake, Objective("trimap"))
    with pytest.raises(DataError, match="none of the classes asked for is in these photos"):
        grid_search(Search(fake, Objective("miou", (1,))), PAPER_GRID[:2])


@pytest.fixture
def found() -> Any:
    search: Any = Search(FakeTrials(peak(5, 50, 4)))  # type: ignore[arg-type]
    grid_search(search, PAPER_GRID[:24])
    search.measure("dropped", [CRFParams(14, 14, 14)], 10)
    return search


def test_the_table_holds_every_trial_best_first(found: Any) -> None:
    rows = list(csv.DictReader(trials_csv(found).splitlines()))
    assert len(rows) == len(found.stages)
    assert (rows[0]["w1"], rows[0]["sigma_alpha_px"], rows[0]["sigma_beta"]) == ("5", "50", "4")
    assert (rows[-1]["stage"], rows[-1]["photos"]) == ("dropped", "10")
    objectives = [float(row["objective"]) for row in rows[:-1]]
    assert objectives == sorted(objectives, reverse=True)
    for row in rows:
        assert float(row["low"]) <= float(row["objective"]) <= float(row["high"])
    assert float(rows[0]["gain"]) == pytest.approx(50)
    assert float(rows[0]["objective"]) == pytest.approx(float(rows[0]["pixel accuracy"]), abs=0.01)


def test_the_best_settings_are_read_back_by_other_commands(found: Any, tmp_path: Path) -> None:
    from deeplab.models.card_files import load_card

    (tmp_path / "best.yaml").write_text(best_yaml(found))
    assert load_card(tmp_path / "best.yaml").crf == CRFSettings(CRFParams(5, 50, 4))


def test_the_json_holds_the_search(found: Any) -> None:
    content = json.loads(json.dumps(to_json(found), allow_nan=False))
    assert content["crf"]["params"]["bilateral_rgb_std"] == 4
    assert content["trials"][0]["objective"] == pytest.approx(content["best"][0])
    assert len(content["trials"]) == len(found.stages)
    assert content["gain"][0] == pytest.approx(0.5)


def test_the_words_name_the_best_its_gain_and_the_cost(found: Any) -> None:
    assert result_lines(found)[0].endswith("settings: w1 = 5, σα = 50 px, σβ = 4, w2 = 3, σγ = 3 px")
    assert "+50.00 [+50.00, +50.00] over the network alone" in result_lines(found)[1]
    found.trials.runs, found.trials.seconds, found.trials.processor_seconds = 2850, 285.0, 570.0
    runs, grid = cost_lines(found)
    assert runs == "2,850 CRF runs in 0:04:45 h, 200 ms of processor time each"
    assert grid == "the paper's first grid, 288 settings on 100 photos, on 2 free cores: 0:48:00 h"
    found.trials.runs = 0
    assert cost_lines(found) == ["nothing was run: every trial was in the journal already"]


def test_the_heat_map_shows_every_pair_and_frames_the_best(found: Any) -> None:
    root = ElementTree.fromstring(heat_map_svg(found))
    space = "{http://www.w3.org/2000/svg}"
    cells = [rect for rect in root.iter(f"{space}rect") if rect.get("stroke")]
    complete = found.complete()
    names = ("bilateral_xy_std_px", "bilateral_rgb_std", "bilateral_weight")
    pairs = [
        {(getattr(p, a), getattr(p, b)) for p in complete}
        for a, b in ((names[0], names[1]), (names[0], names[2]), (names[1], names[2]))
    ]
    assert len(cells) == sum(map(len, pairs))
    assert sum(cell.get("stroke") == "#d62728" for cell in cells) == 3
    texts = [text.text for text in root.iter(f"{space}text")]
    assert f"{100 * found.value(found.best()):.2f}" in texts
