"""What is asked for is checked before any work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deeplab.errors import DeepLabError, InputError, ModelError
from deeplab.labels import CAMVID
from deeplab.reproduce.benchmarks import FULL, QUICK, find_benchmark
from deeplab.reproduce.plan import Plan, make_plan
from deeplab.training.recipe_files import find_recipe, load_recipe

MakePlan = Callable[..., Plan]

RECIPE = """
name: small
variant: {variant}
start: {start}
data:
  - {{reader: voc, path: voc2012, split: train_aug}}
crop_px: {crop}
solver: {{iterations: 60, batch: 4, micro_batch: 2}}
"""


@pytest.fixture
def recipes(tmp_path: Path) -> Path:
    """A folder with recipes of three networks."""
    for variant, start, crop in (
        ("largefov", "imagenet", 41),
        ("msc-largefov", "checkpoint", 41),
        ("deeplab", "imagenet", 306),
    ):
        (tmp_path / f"{variant}-voc.yaml").write_text(RECIPE.format(variant=variant, start=start, crop=crop))
    return tmp_path


def test_the_message_names_the_data_sets_and_the_nearest() -> None:
    with pytest.raises(InputError, match=r"unknown data set 'camvit': did you mean 'camvid'\? choose one of voc2012"):
        find_benchmark("camvit")


def test_without_weights_the_shipped_models_stand_in(data: Path, tmp_path: Path) -> None:
    plan = make_plan(find_benchmark("voc2012"), data, tmp_path, FULL)
    assert plan.variants == ("largefov", "msc-largefov")
    assert [plan.given[name].name for name in plan.variants] == ["voc-largefov.onnx", "voc-msc-largefov.onnx"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variants": ["largefow"]}, "did you mean 'largefov'"),
        ({"variants": ["deeplab"]}, "deeplab has to be trained: give --weights FILE, or --trained deeplab=FILE"),
        (
            {"variants": ["fcn8s"], "weights": Path("vgg.npz")},
            "there is no recipe 'nowhere/fcn8s-voc': did you .* give --recipes DIR, or --trained fcn8s=FILE",
        ),
        ({"trained": {"largefov": "no-such.onnx"}}, "no-such.onnx: no such model file"),
        ({"trained": {"largefov": "no-such.safetensors"}}, "no-such.safetensors: no such file"),
        ({"trained": {"largefov": "voc-largefow"}}, "did you mean 'voc-largefov'"),
        (
            {"trained": {"deeplab": "voc-largefov"}, "variants": ["deeplab"]},
            "holds the network 'largefov', not 'deeplab'",
        ),
    ],
)
def test_what_does_not_fit_is_said_at_once(options: dict[str, object], message: str, voc_plan: MakePlan) -> None:
    with pytest.raises(DeepLabError, match=message):
        voc_plan(**{"recipe_folder": Path("nowhere"), **options})


def test_a_network_of_other_labels_is_refused(make_model: Callable[..., Path], voc_plan: MakePlan) -> None:
    model = make_model("camvid-tiny", label_set=CAMVID)
    with pytest.raises(ModelError, match=r"knows the 11 labels of 'camvid' \(sky …\), but"):
        voc_plan(trained={"largefov": str(model)})


def test_an_msc_network_comes_after_its_base(voc_plan: MakePlan, recipes: Path) -> None:
    wanted = ["msc-largefov", "deeplab", "largefov"]
    plan = voc_plan(variants=wanted, trained={}, weights=Path("vgg.npz"), recipe_folder=recipes)
    assert plan.variants == ("largefov", "msc-largefov", "deeplab")


def test_an_msc_network_needs_its_base(voc_plan: MakePlan, recipes: Path) -> None:
    given: dict[str, Any] = {"weights": Path("vgg.npz"), "recipe_folder": recipes}  # and a model file of largefov
    with pytest.raises(InputError, match=r"training msc-largefov starts from a trained largefov: name largefov in"):
        voc_plan(variants=["msc-largefov"], **given)
    assert voc_plan(variants=["msc-largefov", "largefov"], **given).variants == ("largefov", "msc-largefov")


def test_a_recipe_of_another_network_is_refused(voc_plan: MakePlan, recipes: Path) -> None:
    (recipes / "deeplab-voc.yaml").write_text((recipes / "largefov-voc.yaml").read_text())
    with pytest.raises(InputError, match="trains 'largefov', not 'deeplab'"):
        voc_plan(variants=["deeplab"], weights=Path("vgg.npz"), recipe_folder=recipes)


def test_the_packages_recipes_are_found_wherever_one_is(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options: dict[str, Any] = {
        "variants": ["deeplab"],
        "weights": Path("vgg.npz"),
        "recipe_folder": Path("field-of-view"),
    }
    plan = make_plan(find_benchmark("camvid"), data, tmp_path, FULL, **options)
    assert plan.recipes["deeplab"] == load_recipe(find_recipe("field-of-view/deeplab-camvid"))


def test_quick_shortens_recipes_and_full_does_not(data: Path, tmp_path: Path, recipes: Path) -> None:
    def solver(effort: object) -> tuple[int, int]:
        plan = make_plan(
            find_benchmark("voc2012"), data, tmp_path, effort,  # type: ignore[arg-type]
            variants=["largefov"], weights=Path("vgg.npz"), recipe_folder=recipes,
        )  # fmt: skip
        recipe = plan.recipes["largefov"]
        return recipe.solver.iterations, recipe.solver.batch

    assert solver(FULL) == (60, 4)
    assert solver(QUICK) == (2, 2)
