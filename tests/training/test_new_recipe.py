"""Recipes for data of one's own: what they say of the data, what they plan, and what is refused."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from deeplab.data.readers import read_samples
from deeplab.errors import DataError, InputError
from deeplab.training.new_recipe import BATCH, HEAD, TRUNK, VALIDATED, VALIDATIONS, Speed, write_recipe
from deeplab.training.own_data import OwnData, look_at
from deeplab.training.recipe import Recipe
from deeplab.training.recipe_files import load_recipe

Write = Callable[..., Path]
CORE = Speed(1.0, "bf16", "made up")


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Make a data set of random photos whose masks cycle through classes; returns its folder."""

    def make(
        photos: int = 10, classes: int = 3, size: tuple[int, int] = (40, 60), void: int = 255, name: str = "leaves"
    ) -> Path:
        root, random = tmp_path / name, np.random.default_rng(3)
        for folder in ("images", "masks"):
            (root / folder).mkdir(parents=True)
        (root / "classes.txt").write_text("\n".join(f"class {i}" for i in range(classes)))
        for i in range(photos):
            labels = np.full(size, void, np.uint8)
            labels[:, : size[1] // 2] = i % classes
            labels[: size[0] // 4] = (i + 1) % classes
            Image.fromarray(random.integers(0, 256, (*size, 3), np.uint8)).save(root / "images" / f"{i:03}.png")
            Image.fromarray(labels).save(root / "masks" / f"{i:03}.png")
        return root

    return make


def recipe_of(data: OwnData, folder: Path, hours: float = 1, speed: Speed = CORE) -> Recipe:
    (folder / "mine.yaml").write_text(write_recipe(data, speed, hours))
    return load_recipe(folder / "mine.yaml")


def test_the_recipe_holds_what_the_data_does(write: Write, tmp_path: Path) -> None:
    data = look_at(write())
    recipe = recipe_of(data, tmp_path)
    assert (recipe.name, recipe.start, recipe.crop_px, recipe.class_weights) == ("leaves", "other_labels", 65, "even")
    assert [(source.reader, source.path, source.split) for source in recipe.data] == [("folder", ".", "train")]
    assert recipe.validation is not None
    assert (recipe.validation.split, recipe.validation.photos) == ("val", 0)
    text = (tmp_path / "mine.yaml").read_text()
    assert "8 photos to learn from, 2 held out, 3 classes (class 0, class 1, class 2)" in text
    assert "more would learn them by heart" in text  # a hundred passes over eight small photos take no hour


def test_every_fifth_photo_of_data_without_splits_is_held_out(write: Write) -> None:
    root = write(photos=11)
    names = {split: [s.name for s in read_samples("auto", root, split)] for split in ("all", "train", "val")}
    assert names["val"] == ["004", "009"]
    assert sorted(names["train"] + names["val"]) == names["all"]
    (root / "val.txt").write_text("000\n001\n")
    (root / "train.txt").write_text("002\n")
    assert [s.name for s in read_samples("auto", root, "val")] == ["000", "001"]  # the data's own splits come first


@given(
    photos=st.integers(2, 5000), held_out=st.integers(0, 500), side=st.integers(20, 2000),
    rate=st.floats(0.05, 500), hours=st.floats(0.05, 100),
)  # fmt: skip
def test_what_is_planned_takes_the_hours_or_less(
    photos: int, held_out: int, side: int, rate: float, hours: float
) -> None:
    from types import SimpleNamespace

    from deeplab.training.new_recipe import crop_side, make_plan

    learnt = SimpleNamespace(sizes=[(side, side)])
    data: Any = SimpleNamespace(photos=photos, held_out=held_out, learnt=learnt)
    try:
        plan = make_plan(data, Speed(rate, "bf16", "drawn"), hours)
    except InputError:
        assert hours * 3600 * rate < 1000
        return
    assert 65 <= crop_side(data) <= 321
    assert crop_side(data) % 8 == 1
    assert (plan.validated > 0) == (held_out > 0)
    spent = VALIDATIONS * VALIDATED * plan.validated + BATCH * plan.main
    spent += TRUNK * photos + HEAD * BATCH * plan.warm_up if plan.warm_up else 0
    seconds = spent / (rate * (321 / crop_side(data)) ** 2)
    assert seconds == pytest.approx(3600 * plan.hours)
    assert plan.hours <= hours * 1.01 + 10 * BATCH / rate / 3600  # ten iterations are the least


def test_rare_classes_count_twice(write: Write, tmp_path: Path) -> None:
    root = write()
    for path in (root / "masks").iterdir():
        labels = np.zeros((40, 60), np.uint8)
        labels[:20], labels[0, :2] = 1, 2
        Image.fromarray(labels).save(path)
    assert recipe_of(look_at(root), tmp_path).class_weights == (1, 1, 2)
    assert "Rare, so they count twice in the loss: class 2." in (tmp_path / "mine.yaml").read_text()


def test_a_class_that_nobody_shows_is_named(write: Write, tmp_path: Path) -> None:
    root = write()
    with (root / "classes.txt").open("a") as file:
        file.write("\nunicorn")
    assert "No photo to learn from shows unicorn" in write_recipe(look_at(root), CORE, 1)


def test_two_hundred_classes(write: Write, tmp_path: Path) -> None:
    recipe_of(look_at(write(photos=210, classes=200)), tmp_path)
    assert "200 classes (class 0, class 1, " in (tmp_path / "mine.yaml").read_text()


def test_one_photo_is_learnt_and_none_held_out(write: Write, tmp_path: Path) -> None:
    recipe = recipe_of(look_at(write(photos=1, classes=2)), tmp_path)
    assert (recipe.data[0].split, recipe.validation) == ("all", None)
    assert "Nothing is held out" in (tmp_path / "mine.yaml").read_text()


def test_photos_of_one_pixel(write: Write, tmp_path: Path) -> None:
    root = write(photos=6, classes=2)
    for i, path in enumerate(sorted((root / "images").iterdir())):
        Image.new("RGB", (1, 1)).save(path)
        Image.new("L", (1, 1), i % 2).save(root / "masks" / path.name)
    assert recipe_of(look_at(root), tmp_path).crop_px == 65


def test_names_cannot_write_into_the_recipe(write: Write, tmp_path: Path) -> None:
    root = write(name="evil\nsolver: {iterations: 9}\n#")
    (root / "classes.txt").write_text("a\x1b[31m#\nseed: 1\nc")
    text = write_recipe(look_at(root), CORE, 1)
    (tmp_path / "mine.yaml").write_text(text)
    recipe = load_recipe(tmp_path / "mine.yaml")
    assert (recipe.name, recipe.seed, recipe.solver.batch) == ("own", 0, BATCH)
    assert "\x1b" not in text


def test_a_folder_of_a_long_name_gives_a_recipe_that_can_be_read(write: Write, tmp_path: Path) -> None:
    assert recipe_of(look_at(write(name="n" * 150)), tmp_path).name == "n" * 100


def test_spoilt_photos_are_left_out_unless_they_are_half(write: Write, tmp_path: Path) -> None:
    root = write()
    (root / "images" / "000.png").write_bytes(b"no photo")
    data = look_at(root)
    assert (data.spoilt, data.photos) == (1, 7)
    assert recipe_of(data, tmp_path).skip_bad_photos
    for i in range(1, 4):
        Image.new("RGB", (60, 40), (9, 0, 0)).save(root / "masks" / f"{i:03}.png")
    with pytest.raises(DataError, match=r"4 of the 8 photos .* \(unreadable files, colour-coded masks"):
        look_at(root)


def test_what_leaves_nothing_to_learn_is_refused(write: Write) -> None:
    root = write(photos=4)
    for path in (root / "masks").iterdir():
        Image.new("L", (60, 40), 1).save(path)
    with pytest.raises(DataError, match="show 'class 1' alone, so there is nothing to tell apart"):
        look_at(root)
    for path in (root / "masks").iterdir():
        Image.new("L", (60, 40), 255).save(path)
    with pytest.raises(DataError, match="show void alone"):
        look_at(root)
    (root / "masks" / "000.png").unlink()
    with pytest.raises(DataError, match=r"000.png is missing; every photo listed needs its mask"):
        look_at(root)
    shutil.rmtree(root / "masks")
    with pytest.raises(DataError, match=r"has no layout known here; the nearest is 'folder'.*missing: masks/"):
        look_at(root)


def test_photos_both_learnt_and_held_out_are_refused(write: Write) -> None:
    root = write()
    (root / "train.txt").write_text("000\n001\n002\n")
    (root / "val.txt").write_text("002\n003\n")
    with pytest.raises(DataError, match="1 of the 2 validation photos are training photos too"):
        look_at(root)


def test_the_same_photo_under_two_names_is_told(write: Write) -> None:
    root = write()
    shutil.copy(root / "images" / "000.png", root / "images" / "004.png")  # 004 is held out
    assert "Some photos are in both under two names" in write_recipe(look_at(root), CORE, 1)


def test_what_serves_for_validation(write: Write) -> None:
    root = write()
    (root / "train.txt").write_text("000\n001\n002\n")
    assert look_at(root).validation == ""
    (root / "test.txt").write_text("003\n")
    data = look_at(root)
    assert data.validation == "test"
    assert "There is no 'val', so the test set chooses" in write_recipe(data, CORE, 1)
    for name in ("train", "test"):
        (root / f"{name}.txt").rename(root / f"my_{name}.txt")
    with pytest.raises(DataError, match="has the splits my_test, my_train; call the one to learn from 'train'"):
        look_at(root)


def test_hours_that_are_too_few(write: Write) -> None:
    with pytest.raises(InputError, match=r"--hours 0.001 is too little at 0.1 crops .*, made up; give 0\.\d+ or more"):
        write_recipe(look_at(write()), CORE._replace(crops_per_second=0.1), 0.001)


def test_recipes_need_no_pytorch(write: Write, tmp_path: Path) -> None:
    """Listed, shown and written in a process in which PyTorch cannot be imported."""
    block = tmp_path / "block"
    block.mkdir()
    (block / "sitecustomize.py").write_text(
        "import sys, importlib.util as u\nsys.modules['torch'] = None\n"
        "find = u.find_spec\nu.find_spec = lambda name, *rest: None if name == 'torch' else find(name, *rest)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(block), *filter(None, sys.path)])}
    for arguments, said in (
        ([], "shipped/voc-largefov"),
        (["show", "largefov-voc"], "iterations: 6000"),
        (["new", str(write())], "as PyTorch is not there to measure it"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "deeplab", "recipes", *arguments], env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert said in done.stdout
