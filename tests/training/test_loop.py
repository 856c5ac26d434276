from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from deeplab.crf import CRFSettings
from deeplab.data.samples import load_sample
from deeplab.errors import DataError, DeepLabError, ModelError, OutputError
from deeplab.evaluation.confusion import Confusion
from deeplab.labels import CAMVID
from deeplab.network.importers import Initialisation
from deeplab.network.vgg import DeepLab
from deeplab.network.weights import load_checkpoint, read_safetensors
from deeplab.preprocessing import TORCHVISION
from deeplab.training.recipe import Recipe, Solver, Source, WarmUp
from deeplab.training.train import train
from deeplab.training.validation import validate

Logged = Callable[[Path], list[dict[str, Any]]]

pytestmark = pytest.mark.usefixtures("thin_network")


def test_a_run_leaves_a_checkpoint_and_a_log(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recipe: Recipe, fresh: Initialisation, logged: Logged
) -> None:
    monkeypatch.setattr("deeplab.progress.SECONDS_BETWEEN_LINES", -1.0)  # a line a step, however fast
    changed = replace(recipe, validation=Source("set", reader="folder"), shared_photos=True, validate_every=1)
    lines: list[str] = []
    path = train(changed, data, fresh, tmp_path / "run", lines.append)
    model, header = load_checkpoint(path)
    assert path.name == "small.safetensors"
    assert header.label_set.names == ("ground", "red", "green")
    assert header.recipe == json.loads(json.dumps(changed.to_dict()))
    assert header.progress.keys() == {"main 1", "main 2", "iterations"}
    assert not model.training
    steps = [line for line in logged(tmp_path / "run") if "loss" in line]
    assert [(line["stage"], line["iteration"]) for line in steps] == [("main", 1), ("main", 2)]
    assert all(line["rate"] == 0.001 and line["images_per_second"] > 0 for line in steps)
    assert steps[0]["loss"] == pytest.approx(np.log(3), rel=0.01)  # fresh scores are near zero: three even classes
    assert any("ETA 0:00:00" in line for line in lines)
    validations = [line["mean_iou"] for line in logged(tmp_path / "run") if "mean_iou" in line]
    assert validations == [header.progress["main 1"], header.progress["main 2"]]


def test_the_last_state_validates_to_the_logged_figure(
    data: Path, tmp_path: Path, recipe: Recipe, fresh: Initialisation
) -> None:
    from deeplab.data.readers import read_samples

    path = train(replace(recipe, validation=Source("set"), shared_photos=True), data, fresh, tmp_path / "run", str)
    model, header = load_checkpoint(path)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    confusion = validate(
        model, read_samples("folder", data / "set", "all"), header.label_set, header.preprocessing, torch.float32
    )
    assert confusion.mean_iou == pytest.approx(header.progress["main 2"], abs=1e-6)
    valid = sum((np.array(Image.open(mask)) != 255).sum() for mask in (data / "set" / "masks").iterdir())
    assert confusion.counts.sum() == valid


@pytest.mark.parametrize("size", [{"max_side_px": 41}, {"photo_scale": 0.7}])
def test_training_and_use_see_photos_alike(
    size: dict[str, Any], data: Path, tmp_path: Path, recipe: Recipe, fresh: Initialisation
) -> None:
    """A photo's size becomes what the recipe says in training, in validation, and in the model file's use."""
    from deeplab.data.readers import read_samples
    from deeplab.network.export import export_onnx
    from deeplab.segment import Segmenter

    seen = replace(recipe, **size, validation=Source("set", reader="folder"), shared_photos=True)
    model, header = load_checkpoint(train(seen, data, fresh, tmp_path / "run", str))
    assert header.preprocessing == replace(fresh.preprocessing, **size)
    torch.manual_seed(3)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)  # two iterations leave one class everywhere
    export_onnx(model, header, tmp_path / "small.onnx", name="small", crf=CRFSettings(), card={}, say=str)
    segmenter = Segmenter.from_pretrained(tmp_path / "small.onnx", threads=1)
    assert segmenter.info.preprocessing == header.preprocessing
    samples = read_samples("folder", data / "set", "all")
    validated = validate(model, samples, header.label_set, header.preprocessing, torch.float32)
    used = Confusion.empty(header.label_set)
    for sample in samples:
        image, labels = load_sample(sample)
        assert segmenter.info.preprocessing.shrink(image).shape[:2] != image.shape[:2]
        used += Confusion.of(labels, segmenter.segment(image, crf=False).labels, header.label_set)
    assert np.abs(validated.counts - used.counts).sum() <= 0.01 * used.counts.sum()
    full = validate(model, samples, header.label_set, fresh.preprocessing, torch.float32)
    assert np.abs(validated.counts - full.counts).sum() > 0.01 * used.counts.sum()


def test_where_a_recipe_names_no_size_the_weights_own_holds(
    data: Path, tmp_path: Path, recipe: Recipe, fresh: Initialisation
) -> None:
    start = replace(fresh, preprocessing=replace(fresh.preprocessing, max_side_px=60))
    _, header = load_checkpoint(train(recipe, data, start, tmp_path / "run", str))
    assert header.preprocessing.max_side_px == 60


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_warm_up_moves_the_head_alone(
    data: Path, tmp_path: Path, precision: Any, recipe: Recipe, fresh: Initialisation
) -> None:
    warm_up = WarmUp(Solver(iterations=2, batch=2, micro_batch=2, method="adamw"))
    frozen = Solver(iterations=1, batch=1, micro_batch=1, learning_rate=0.0)
    changed = replace(recipe, warm_up=warm_up, solver=frozen, precision=precision)
    trained, _ = load_checkpoint(train(changed, data, fresh, tmp_path / "run", str))
    torch.manual_seed(0)
    start = DeepLab(trained.variant, 3).state_dict()
    moved = {
        name.split(".")[0] for name, tensor in trained.state_dict().items() if not torch.equal(tensor, start[name])
    }
    assert moved == {"fc6", "fc7", "fc8"}
    assert list((tmp_path / "run").glob("warm_up*")) == []


def test_micro_batches_add_up_to_the_batch(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recipe: Recipe, fresh: Initialisation
) -> None:
    monkeypatch.setattr("torch.nn.functional.dropout", lambda x, *_: x)
    found = []
    for micro_batch in (1, 4):
        solver = Solver(iterations=2, batch=4, micro_batch=micro_batch, learning_rate=0.1)
        output = tmp_path / str(micro_batch)
        train(replace(recipe, solver=solver), data, fresh, output, str)
        found.append(read_safetensors(output / "small.safetensors")[0])
    for name, tensor in found[0].items():
        torch.testing.assert_close(tensor, found[1][name], rtol=1e-4, atol=1e-6)


def test_camvids_void_is_left_out(tmp_path: Path, recipe: Recipe, fresh: Initialisation, logged: Logged) -> None:
    """Its void is 11, its L: counted as a class it would be out of range."""
    for folder, pixels in (("train", np.zeros((41, 41, 3))), ("trainannot", np.full((41, 41), CAMVID.void))):
        (tmp_path / "camvid" / folder).mkdir(parents=True)
        if pixels.ndim == 2:
            pixels[:20] = 3
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "camvid" / folder / "x.png")
    changed = replace(recipe, data=(Source("camvid", "train", reader="camvid"),))
    train(changed, tmp_path, fresh, tmp_path / "run", str)
    assert logged(tmp_path / "run")[0]["loss"] == pytest.approx(np.log(11), rel=0.01)


def test_the_paper_sums_where_the_code_takes_the_mean(
    data: Path, tmp_path: Path, recipe: Recipe, fresh: Initialisation, logged: Logged
) -> None:
    solver = replace(recipe.solver, iterations=1, batch=1)
    train(replace(recipe, solver=replace(solver, loss="sum")), data, fresh, tmp_path / "run", str)
    loss = logged(tmp_path / "run")[0]["loss"]
    # 6x6 cells; the first row of a photo is void, and a photo of 30 pixels fills four rows.
    assert loss / np.log(3) in (pytest.approx(36, abs=0.3), pytest.approx(30, abs=0.3), pytest.approx(18, abs=0.3))


def test_a_folder_of_another_recipe_is_refused(
    data: Path, tmp_path: Path, recipe: Recipe, fresh: Initialisation
) -> None:
    train(recipe, data, fresh, tmp_path / "run", str)
    with pytest.raises(ModelError, match=r"another recipe \(seed: 0 → 5\); give a fresh --output folder"):
        train(replace(recipe, seed=5), data, fresh, tmp_path / "run", str)


def test_a_folder_of_other_weights_or_classes_is_refused(
    data: Path, tmp_path: Path, recipe: Recipe, fresh: Initialisation
) -> None:
    train(recipe, data, fresh, tmp_path / "run", str)
    for weights in (replace(fresh, record={"source": "VGG-16"}), replace(fresh, preprocessing=TORCHVISION)):
        with pytest.raises(ModelError, match=r"run with another --weights \(.* → .*\); give a fresh --output folder"):
            train(recipe, data, weights, tmp_path / "run", str)
    (data / "set" / "classes.txt").write_text("ground\nred\nblue\n")
    with pytest.raises(ModelError, match=r"run with another label set \(names: .*\); give a fresh --output folder"):
        train(recipe, data, fresh, tmp_path / "run", str)


def test_a_file_that_only_looks_like_a_state_is_refused(
    data: Path, tmp_path: Path, recipe: Recipe, fresh: Initialisation
) -> None:
    save_file({"x": torch.zeros(1)}, tmp_path / "state.safetensors", metadata={"state": '{"position": ["main", 7]}'})
    with pytest.raises(ModelError, match=r"state\.safetensors is no state of a training \('header'\)"):
        train(recipe, data, fresh, tmp_path, str)


def test_a_model_may_be_called_as_the_warm_ups_files(
    data: Path, tmp_path: Path, recipe: Recipe, fresh: Initialisation
) -> None:
    assert train(replace(recipe, name="warm_up_9"), data, fresh, tmp_path / "run", str).is_file()


def test_own_folders_of_the_same_classes_train_together(
    data: Path, tmp_path: Path, recipe: Recipe, fresh: Initialisation
) -> None:
    (data / "held-out").symlink_to(data / "set")
    changed = replace(recipe, validation=Source("held-out", reader="folder"), shared_photos=True)
    _, header = load_checkpoint(train(changed, data, fresh, tmp_path / "run", str))
    assert header.label_set.name == "own"


def test_a_finished_run_is_not_trained_again(
    data: Path, tmp_path: Path, recipe: Recipe, fresh: Initialisation, logged: Logged
) -> None:
    first = train(recipe, data, fresh, tmp_path / "run", str).read_bytes()
    lines: list[str] = []
    assert train(recipe, data, fresh, tmp_path / "run", lines.append).read_bytes() == first
    assert lines[-1] == "resuming main at iteration 2"
    assert len(logged(tmp_path / "run")) == 2


def test_sources_of_other_labels_do_not_mix(data: Path, tmp_path: Path, recipe: Recipe, fresh: Initialisation) -> None:
    (data / "other").mkdir()
    for folder in ("images", "masks"):
        (data / "other" / folder).symlink_to(data / "set" / folder)
    with pytest.raises(DataError, match="must share one label set"):
        train(
            replace(recipe, data=(*recipe.data, Source("other", reader="folder"))), data, fresh, tmp_path / "run", str
        )


def test_an_output_folder_that_cannot_be_made_is_an_error(
    data: Path, tmp_path: Path, recipe: Recipe, fresh: Initialisation
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot make folder"):
        train(recipe, data, fresh, tmp_path / "file" / "run", str)


def test_a_damaged_state_is_an_error(data: Path, tmp_path: Path, recipe: Recipe, fresh: Initialisation) -> None:
    (tmp_path / "state.safetensors").write_bytes(b"half a fi")
    with pytest.raises(ModelError, match=r"state\.safetensors is no safetensors file, or damaged"):
        train(recipe, data, fresh, tmp_path, str)


def test_photos_of_nothing_but_void_teach_nothing(
    data: Path, tmp_path: Path, recipe: Recipe, fresh: Initialisation, logged: Logged
) -> None:
    for mask in (data / "set" / "masks").iterdir():
        Image.fromarray(np.full(np.array(Image.open(mask)).shape, 255, np.uint8)).save(mask)
    solver = replace(recipe.solver, weight_decay=0.0)
    model, _ = load_checkpoint(train(replace(recipe, solver=solver), data, fresh, tmp_path / "run", str))
    assert [line["loss"] for line in logged(tmp_path / "run")] == [0, 0]
    torch.manual_seed(recipe.seed)
    start = DeepLab(model.variant, 3).state_dict()
    assert all(torch.equal(tensor, start[name]) for name, tensor in model.state_dict().items())


def test_a_corrupt_photo_stops_the_run_unless_it_may_be_left_out(
    data: Path, tmp_path: Path, recipe: Recipe, fresh: Initialisation
) -> None:
    photo = data / "set" / "images" / "1.png"
    photo.write_bytes(photo.read_bytes()[:200])
    longer = replace(recipe, solver=replace(recipe.solver, iterations=3))
    with pytest.raises(DeepLabError, match=r"images/1\.png cannot be decoded"):
        train(longer, data, fresh, tmp_path / "stopped", str)
    lines: list[str] = []
    train(replace(longer, skip_bad_photos=True), data, fresh, tmp_path / "run", lines.append)
    (line,) = (line for line in lines if "1.png" in line)
    assert line.startswith("left out: ")


def test_photos_in_both_lists_are_named_and_refused_unless_asked_for(
    data: Path, tmp_path: Path, recipe: Recipe, fresh: Initialisation
) -> None:
    (data / "held-out").symlink_to(data / "set")  # other paths, the same files
    changed = replace(recipe, validation=Source("held-out", photos=2, reader="folder"))
    named = r"held-out/images/0\.png, .*1\.png\); .*say shared_photos: true"
    with pytest.raises(DataError, match=rf"2 of the 2 validation photos are training photos too \(.*{named}"):
        train(changed, data, fresh, tmp_path / "run", str)
    assert not (tmp_path / "run").exists()
    train(replace(changed, shared_photos=True), data, fresh, tmp_path / "run", str)


def test_a_class_that_no_photo_shows_is_named_before_training(
    data: Path, tmp_path: Path, recipe: Recipe, fresh: Initialisation
) -> None:
    (data / "set" / "classes.txt").write_text("ground\nred\ngreen\nunicorn\n")
    lines: list[str] = []
    train(recipe, data, fresh, tmp_path / "run", lines.append)
    said = [index for index, line in enumerate(lines) if line == "no training photo shows unicorn"]
    trained = next(index for index, line in enumerate(lines) if "loss" in line or "parameters" in line)
    assert len(said) == 1
    assert said[0] < trained
    lines.clear()
    train(recipe, data, fresh, tmp_path / "run", lines.append)  # is over, and was told so
    assert "no training photo shows unicorn" not in lines


def test_a_mask_that_cannot_be_read_is_named_before_training(
    data: Path, tmp_path: Path, recipe: Recipe, fresh: Initialisation
) -> None:
    (data / "set" / "masks" / "1.png").write_bytes(b"no mask")
    with pytest.raises(DeepLabError, match=r"masks/1\.png"):
        train(recipe, data, fresh, tmp_path / "run", str)
    assert not (tmp_path / "run" / "state.safetensors").exists()


@pytest.mark.parametrize("change", ["gone", "another", "mask"])
def test_a_run_over_other_photos_is_refused(
    change: str, data: Path, tmp_path: Path, recipe: Recipe, fresh: Initialisation
) -> None:
    """As where a run half done goes to a machine that has other data under the same names."""
    train(recipe, data, fresh, tmp_path / "run", str)
    copied = shutil.copytree(data, tmp_path / "elsewhere")
    train(recipe, copied, fresh, tmp_path / "run", str)
    images, masks = copied / "set" / "images", copied / "set" / "masks"
    if change == "gone":
        (images / "2.png").unlink()
        (masks / "2.png").unlink()
    if change == "another":
        Image.fromarray(np.zeros((50, 60, 3), np.uint8)).save(images / "0.png")
    if change == "mask":
        Image.fromarray(np.zeros((50, 60), np.uint8)).save(masks / "0.png")
    what = r"photos: 3 → 2; sha256: \w+… → \w+…" if change == "gone" else r"sha256: \w+… → \w+…"
    with pytest.raises(ModelError, match=rf"run with another list of photos \({what}\); give a fresh --output folder"):
        train(recipe, copied, fresh, tmp_path / "run", str)


def test_early_validation_comes_before_the_first_iteration(
    data: Path, tmp_path: Path, recipe: Recipe, fresh: Initialisation
) -> None:
    changed = replace(recipe, validation=Source("set", reader="folder"), shared_photos=True, validate_at=(0, 1))
    _, header = load_checkpoint(train(changed, data, fresh, tmp_path / "run", str))
    assert list(header.progress) == ["main 0", "main 1", "main 2", "iterations"]
