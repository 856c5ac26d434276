"""The readers of strangers' files: for each, a folder of small sound files, and what reads it."""

import base64
import io
import json
import os
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
from fuzz_server import ask, requests
from PIL import Image

from deeplab.errors import DeepLabError

__all__ = ["TARGETS", "Target"]

LABELS = np.arange(48, dtype=np.uint8).reshape(6, 8) % 3
BOX = [[1, 1], [5, 1], [5, 4], [1, 4]]
OUTLINE = [1, 1, 5, 1, 5, 4, 1, 4]
CLASSES = "Pixel Value, Class\n0, background\n1, cat\n2, dog\n"
LABEL_MAP = "# label:color_rgb:parts:actions\nbackground:0,0,0::\nleaf:50,183,250::\nrust:250,50,83:a,b:\n"


class Target(NamedTuple):
    """A reader.

    Attributes:
        make: writes sound files into a folder.
        changed: patterns of those that are changed.
        read: reads them; DeepLabErrors are what it shall raise.
        lacks: what the sound files are refused for, being small.
    """

    make: Callable[[Path], None]
    changed: tuple[str, ...]
    read: Callable[[Path], None]
    lacks: str = ""


def photo(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(3).integers(0, 256, (6, 8, 3), np.uint8)).save(path)


def mask(path: Path, labels: Any = LABELS) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(labels).save(path)


def text(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content, indent=1))


def checked(reader: str = "auto") -> Callable[[Path], None]:
    """Return what finds out about a data set all that there is to find out, and draws each mask."""

    def read(folder: Path) -> None:
        from deeplab.data.check import check_data

        check_data(folder, reader=reader)

    return read


def coco(folder: Path, name: str = "annotations/instances_val.json") -> None:
    photo(folder / "val" / "x.jpg")
    segmentations = ([OUTLINE], {"size": [6, 8], "counts": [4, 4, 40]}, {"size": [6, 8], "counts": "440X1"}, [])
    text(
        folder / name,
        {
            "images": [{"id": 7, "file_name": "x.jpg", "height": 6, "width": 8}],
            "categories": [{"id": 1, "name": "cat"}, {"id": 18, "name": "dog"}],
            "annotations": [
                {"id": n, "image_id": 7, "category_id": 1, "iscrowd": n % 2, "segmentation": s, "bbox": [1, 1, 3, 3]}
                for n, s in enumerate(segmentations)
            ],
        },
    )


def label_studio(folder: Path) -> None:
    coco(folder, "result.json")
    (folder / "val").rename(folder / "images")


def labelme(folder: Path) -> None:
    photo(folder / "x.jpg")
    file = io.BytesIO()
    Image.fromarray(LABELS).save(file, format="PNG")
    kinds = {"polygon": BOX, "rectangle": BOX[::2], "circle": BOX[:2], "line": BOX[:2], "points": BOX, "mask": BOX[::2]}
    shapes = [
        {"label": kind, "points": points, "shape_type": kind, "mask": base64.b64encode(file.getvalue()).decode()}
        for kind, points in kinds.items()
    ]
    text(folder / "x.json", {"version": "5.5.0", "shapes": shapes, "imagePath": "x.jpg", "imageData": None})
    text(folder / "labels.txt", "__ignore__\n_background_\npolygon\n")


def own_classes(folder: Path) -> None:
    photo(folder / "images" / "x.jpg")
    mask(folder / "masks" / "x.png")
    text(
        folder / "classes.txt",
        "# mine\nbackground: 0\nfur: 1, 3\ntail: 2\nvoid: *\nbackground = background\nnumbers = own\n",
    )


def voc(folder: Path) -> None:
    for name in ("x", "y"):
        photo(folder / "JPEGImages" / f"{name}.jpg")
        mask(folder / "SegmentationClass" / f"{name}.png")
    text(folder / "ImageSets" / "Segmentation" / "train.txt", "x\n")
    text(folder / "ImageSets" / "Segmentation" / "val.txt", "/JPEGImages/y.jpg /SegmentationClass/y.png\n")


def boxes(folder: Path) -> None:
    coco(folder, "boxes.json")
    photo(folder / "JPEGImages" / "x.jpg")
    edges = "".join(
        f"<{tag}>{edge}</{tag}>" for tag, edge in zip(("xmin", "ymin", "xmax", "ymax"), (2, 2, 5, 4), strict=True)
    )
    things = "".join(f"<object><name>{name}</name><bndbox>{edges}</bndbox></object>" for name in ("cat", "dog"))
    text(folder / "Annotations" / "x.xml", f"<?xml version='1.0'?>\n<annotation>\n{things}\n</annotation>\n")
    text(folder / "ImageSets" / "Main" / "train.txt", "x 1\n")


def boxed(place: str, split: str) -> Callable[[Path], None]:
    """Return what reads boxes and makes masks of them."""

    def read(folder: Path) -> None:
        from deeplab.boxes import BOX_METHODS, mask_of, read_boxes
        from deeplab.images import read_image

        for photo in read_boxes(folder, split, place):
            for method in BOX_METHODS:
                mask_of(photo, read_image(photo.photo), method, threads=1)

    return read


def numpy_masks(folder: Path) -> None:
    photo(folder / "JPEGImages" / "x.jpg")
    (folder / "SegmentationClass").mkdir()
    np.save(folder / "SegmentationClass" / "x.npy", LABELS.astype(np.int32) - 1)
    text(folder / "class_names.txt", "__ignore__\n_background_\ncat\ndog\n")


def sbd(folder: Path) -> None:
    from scipy.io import savemat

    photo(folder / "img" / "x.jpg")
    (folder / "cls").mkdir()
    savemat(folder / "cls" / "x.mat", {"GTcls": {"Segmentation": LABELS, "Boundaries": LABELS}})
    text(folder / "train.txt", "x\n")


def cityscapes(folder: Path) -> None:
    name = "train/aachen/aachen_000000_000019"
    photo(folder / "leftImg8bit" / f"{name}_leftImg8bit.png")
    mask(folder / "gtFine" / f"{name}_gtFine_labelIds.png", LABELS + 7)


def cvat(folder: Path) -> None:
    text(folder / "labelmap.txt", LABEL_MAP)
    text(folder / "ImageSets" / "Segmentation" / "default.txt", "x\n")
    photo(folder / "JPEGImages" / "x.png")
    colours = np.array([(0, 0, 0), (250, 50, 83), (50, 183, 250)], np.uint8)[LABELS]
    mask(folder / "SegmentationClass" / "x.png", colours)


def roboflow(folder: Path) -> None:
    photo(folder / "train" / "x.jpg")
    mask(folder / "train" / "x_mask.png")
    text(folder / "train" / "_classes.csv", CLASSES)


def yolo(folder: Path) -> None:
    photo(folder / "images" / "train" / "x.jpg")
    text(folder / "labels" / "train" / "x.txt", "1 0 0 0.5 0 0.5 1 0 1\n0 0 0 1 0 1 0.5 0 0.5\n0 0.5 0.5 0.2 0.2\n")
    text(folder / "data.yaml", "path: .\ntrain: images/train\nnames: [cat, dog]\nextra: &a {b: 1}\nmore: [*a, 2e-4]\n")


def lists(folder: Path) -> None:
    photo(folder / "a" / "x.jpg")
    mask(folder / "b" / "x.png")
    text(folder / "train.txt", "a/x.jpg b/x.png\n")


def objects(folder: Path) -> None:
    photo(folder / "images" / "x.jpg")
    for kind in ("cat_1", "cat_2", "dog"):
        mask(folder / "masks" / f"x_{kind}.png", (LABELS == 1).astype(np.uint8) * 255)


def photos(folder: Path) -> None:
    image = Image.fromarray(np.random.default_rng(3).integers(0, 256, (40, 50, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    for ending in ("jpg", "png", "webp", "tif", "gif", "bmp", "ppm", "jp2"):
        image.save(folder / f"x.{ending}", **({"exif": exif} if ending in ("jpg", "png", "webp") else {}))
    Image.fromarray(np.arange(2000, dtype=np.uint16).reshape(40, 50)).save(folder / "deep.png")
    Image.fromarray(np.arange(2000, dtype=np.float32).reshape(40, 50)).save(folder / "float.tiff")
    image.convert("CMYK").save(folder / "cmyk.jpg")


def read_photos(folder: Path) -> None:
    from deeplab.images import read_photo

    for path in sorted(folder.iterdir()):
        with suppress(DeepLabError):
            read_photo(path)


def label_maps(folder: Path) -> None:
    from deeplab.label_maps import write_label_map
    from deeplab.labels import VOC

    write_label_map(folder / "x.png", LABELS, VOC)
    mask(folder / "y.png")


def read_label_maps(folder: Path) -> None:
    from deeplab.label_maps import is_label_map, read_label_map, read_label_set

    for path in sorted(folder.iterdir()):
        with suppress(DeepLabError):
            read_label_map(path)
        with suppress(DeepLabError):
            read_label_set(path)
        is_label_map(path)


def scores(folder: Path) -> None:
    probabilities = np.random.default_rng(0).random((3, 6, 8), np.float32)
    probabilities /= probabilities.sum(axis=0)
    np.save(folder / "a.npy", probabilities)
    np.savez(folder / "b.npz", scores=np.log(probabilities))
    np.savez_compressed(folder / "c.npz", x=probabilities, y=np.array("text"))
    photo(folder / "photo.png")


def refine_each(folder: Path) -> None:
    from deeplab.images import read_image
    from deeplab.refinement import load_scores, refine_scores

    image = read_image(folder / "photo.png")
    for path, key in (("a.npy", None), ("b.npz", None), ("c.npz", "x")):
        with suppress(DeepLabError):
            refine_scores(image, load_scores(folder / path, key=key), threads=1)


def label_files(folder: Path) -> None:
    from deeplab.labels import VOC

    text(folder / "labels.json", VOC.to_dict())
    text(folder / "labels.txt", "background\ncat\ndog\n")
    text(folder / "labelmap.txt", LABEL_MAP)


def read_label_files(folder: Path) -> None:
    from deeplab.cli.options import read_label_set

    for path in sorted(folder.iterdir()):
        with suppress(DeepLabError):
            read_label_set(str(path))


def model_info() -> Any:
    from deeplab.labels import VOC
    from deeplab.models import ModelInfo
    from deeplab.preprocessing import PAPER

    return ModelInfo("tiny", "largefov", VOC, PAPER, card={"data": "none", "scores": {"mean IoU": 0.0}})


def stored(folder: Path) -> None:
    text(folder / "scores.json", {"format": 1, "model_sha256": "ab" * 32, "model": json.loads(model_info().to_json())})
    values = np.random.default_rng(0).normal(size=(21, 2, 2)).astype(np.float16)
    sizes = {"photo_size": np.array([6, 8], np.int32), "network_size": np.array([6, 8], np.int32)}
    np.savez(folder / "x.npz", scores=values, **sizes, photo_sha256=np.array("cd" * 32))
    photo(folder / "x.jpg")


def read_stored(folder: Path) -> None:
    from deeplab.evaluation.stored_scores import open_scores
    from deeplab.planes import Planes

    kept = open_scores(folder)
    found = kept.load("x")
    Planes(found.scores, found.photo_size, found.network_size, kept.info.output_stride, are_scores=True)


OWNER = {"model": "tiny", "labels": ["a", "b"], "iterations": 10}


def journal(folder: Path) -> None:
    from deeplab.crf import CRFParams
    from deeplab.crf_search.journal import Journal

    kept = Journal(folder / "trials.jsonl", OWNER, (2, 3, 5))
    for name in ("x", "y"):
        tallies = np.random.default_rng(0).integers(0, 9, (2, 2, 3, 5))
        tallies[..., 3] = 0
        kept.add(name, [None, CRFParams()], tallies)


def read_journal(folder: Path) -> None:
    from deeplab.crf_search.journal import Journal

    kept = Journal(folder / "trials.jsonl", OWNER, (2, 3, 5))
    if ("x", None) in kept:
        kept["x", None].sum()


def manifest(folder: Path) -> None:
    settings = {"crf": True, "min_confidence": None}
    lines = [
        {
            "file": str(folder / f"{name}.jpg"), "bytes": 5, "modified_ns": 9, "outputs": {f"{name}.png": "ab" * 32},
            "width": 5, "height": 4, "classes": {"cat": 0.75}, "confidence": 0.9, "seconds": 0.1, "error": None,
            "model": {"name": "tiny", "sha256": "0" * 64}, "settings": settings,
        }
        for name in ("x", "y")
    ]  # fmt: skip
    (folder / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    photo(folder / "x.png")


def read_manifest(folder: Path) -> None:
    from deeplab.batch.manifest import Manifest, Origin
    from deeplab.batch.results import Settings

    with Manifest(folder / "manifest.jsonl", folder, Origin("tiny", "0" * 64, Settings())) as kept:
        kept.is_done((5, 9), [folder / "x.png"])
        with suppress(DeepLabError):
            kept.check_replaceable(folder / "x.jpg", (5, 9), [folder / "x.png"])


def card(folder: Path) -> None:
    crf = {"params": {"bilateral_weight": 4, "spatial_xy_std_px": 3}, "iterations": 10}
    text(folder / "card.yaml", {"crf": crf, "card": {"data": [1]}})


def read_card(folder: Path) -> None:
    from deeplab.models.card_files import load_card

    load_card(folder / "card.yaml")


def read_recipe(folder: Path) -> None:
    from deeplab.training.recipe_files import load_recipe, whole_recipe

    load_recipe(folder / "recipe.yaml")
    whole_recipe(folder / "recipe.yaml")


def recipe(folder: Path) -> None:
    from deeplab.training.recipe_files import RECIPES

    path = max(RECIPES.glob("shipped/*.yaml"), key=lambda path: path.stat().st_size)
    (folder / "recipe.yaml").write_bytes(path.read_bytes())


@cache
def tiny_model() -> bytes:
    """An ONNX network of three convolutions, with our metadata."""
    from onnx import TensorProto, helper, numpy_helper

    widths, nodes, weights = (3, 8, 8, 21), [], []
    for layer in range(3):
        weight = np.random.default_rng(layer).normal(0, 0.3, (widths[layer + 1], widths[layer], 3, 3))
        weights.append(numpy_helper.from_array(weight.astype(np.float32), f"weight{layer}"))
        names = ("image", "layer0", "layer1", "scores")[layer : layer + 2]
        options = {"strides": [2, 2], "pads": [1, 1, 1, 1]}
        nodes.append(helper.make_node("Conv", [names[0], f"weight{layer}"], [names[1]], **options))
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, "H", "W"])
    given = helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 21, "h", "w"])
    graph = helper.make_graph(nodes, "tiny", [image], [given], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"deeplab": model_info().to_json()})
    return bytes(model.SerializeToString())


def model(folder: Path) -> None:
    (folder / "tiny.onnx").write_bytes(tiny_model())


def run_model(folder: Path) -> None:
    from deeplab.models.cards import card_of
    from deeplab.runtime import ScoreNetwork

    network = ScoreNetwork(folder / "tiny.onnx", threads=1)
    network.scores(np.zeros((16, 16, 3), np.uint8))
    card_of(folder / "tiny.onnx", network.info)


def read_model_weights(folder: Path) -> None:
    from deeplab.network.weights import open_weights

    open_weights(folder / "tiny.onnx")


def weights(folder: Path) -> None:
    import torch
    from safetensors.torch import save_file

    state = {f"features.{layer}.{kind}": torch.ones(4) for layer in (0, 2) for kind in ("weight", "bias")}
    torch.save(state, folder / "a.pth")
    save_file(state, folder / "b.safetensors")
    np.savez(folder / "c.npz", **{f"conv1_1.{kind}": np.ones(4, np.float32) for kind in ("weight", "bias")})
    name, array = b"\x0a\x05conv1", np.ones(4, "<f4").tobytes()
    blob = b"\x2a" + bytes([len(array)]) + array + b"\x3a\x02\x08\x04"
    layer = name + b"\x3a" + bytes([len(blob)]) + blob
    (folder / "d.caffemodel").write_bytes(b"\x0a\x01x" + (b"\xa2\x06" + bytes([len(layer)]) + layer) * 3)


def read_weights(name: str) -> Callable[[Path], None]:
    def read(folder: Path) -> None:
        from deeplab.network.importers import load_initialisation
        from deeplab.network.variants import find_variant

        load_initialisation(folder / name, find_variant("largefov"))

    return read


@cache
def header() -> Any:
    from deeplab.labels import VOC
    from deeplab.network.header import Header
    from deeplab.network.variants import find_variant
    from deeplab.preprocessing import PAPER
    from deeplab.training.recipe_files import RECIPES, load_recipe

    said = load_recipe(next(RECIPES.glob("shipped/*.yaml"))).to_dict()
    return Header(find_variant("largefov"), VOC, PAPER, {"source": "none"}, said, {"iterations": 3})


def checkpoint(folder: Path) -> None:
    import torch
    from safetensors.torch import save_file

    from deeplab.network.weights import HEADER_KEY

    tensors = {"fc8.bias": torch.ones(21)}
    save_file(tensors, folder / "a.safetensors", metadata={HEADER_KEY: header().to_json()})
    photos = {"photos": 3, "sha256": "0" * 64}
    state = {"position": ["main", 3], "header": header().to_json(), "scaler": {}, "photos": photos}
    save_file({"model.fc8.bias": torch.ones(21)}, folder / "state.safetensors", metadata={"state": json.dumps(state)})


def read_checkpoint(folder: Path) -> None:
    from deeplab.network.weights import load_checkpoint
    from deeplab.training.checkpoints import load_state

    with suppress(DeepLabError):
        load_checkpoint(folder / "a.safetensors")
    load_state(folder / "state.safetensors", header(), {"photos": 3, "sha256": "0" * 64})


def header_text(folder: Path) -> None:
    text(folder / "header.json", json.loads(header().to_json()))
    text(folder / "info.json", json.loads(model_info().to_json()))


def read_header_text(folder: Path) -> None:
    """As `open_weights` reads them, of which they are a part."""
    from deeplab.errors import MALFORMED
    from deeplab.models import ModelInfo
    from deeplab.network.header import Header

    read = {name: (folder / f"{name}.json").read_text(errors="replace") for name in ("header", "info")}
    with suppress(DeepLabError, *MALFORMED):
        Header.from_json(read["header"])
    ModelInfo.from_json(read["info"])


def kept_steps(folder: Path) -> None:
    text(folder / "step.json", {"inputs": {"a": [1, 2]}, "result": {"b": 1}, "seconds": 0.5})
    np.savez_compressed(folder / "tallies.npz", crf=np.ones((2, 3, 21), np.int64))
    lines = [{"stage": "main", "iteration": n, "loss": 0.5, "images_per_second": 2.5} for n in range(5)]
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def read_steps(folder: Path) -> None:
    from deeplab.reproduce import measuring, networks
    from deeplab.reproduce.steps import Workspace

    workspace = Workspace(folder, lambda line: None, lambda *facts: None)
    workspace.step("step", {"a": [1, 2]}, lambda: {"b": 1})
    with suppress(DeepLabError):
        networks._images_per_second(folder / "log.jsonl")
    measuring.read_tallies(workspace)


def predictions(folder: Path) -> None:
    own_classes(folder)
    for name in ("images", "masks"):
        for number in (1, 2):
            source = next((folder / name).glob("x.*"))
            source.with_stem(f"x{number}").write_bytes(source.read_bytes())
    mask(folder / "predictions" / "x.png")
    for number in (1, 2):
        mask(folder / "predictions" / f"x{number}.png")


def read_predictions(folder: Path) -> None:
    from deeplab.data.readers import read_samples
    from deeplab.evaluation.evaluate import evaluate_predictions

    evaluate_predictions(read_samples("folder", folder, "all"), folder / "predictions", threads=1)


def variables(folder: Path) -> None:
    text(folder / "token.txt", "0123456789abcdef\n")
    text(folder / "variables.txt", "DEEPLAB_THREADS=2\nDEEPLAB_TOKEN=0123456789\nLOCAL_RANK=1\nLOCAL_WORLD_SIZE=2\n")


def read_variables(folder: Path) -> None:
    from deeplab.checks import thread_count
    from deeplab.server.settings import Settings, token_in
    from deeplab.training.machine import _count_in

    content = (folder / "variables.txt").read_bytes().decode(errors="surrogateescape").replace("\0", "")
    lines = (line.partition("=") for line in content.splitlines())
    with patch.dict(os.environ, {name: value for name, _, value in lines if name}):
        with suppress(DeepLabError):
            thread_count()
        for name in ("LOCAL_RANK", "LOCAL_WORLD_SIZE"):
            with suppress(DeepLabError):
                _count_in(name, 0)
        with suppress(DeepLabError):
            Settings(token=os.environ.get("DEEPLAB_TOKEN") or None)
    Settings(token=token_in(folder / "token.txt"))


def ids(folder: Path) -> None:
    text(folder / "test.txt", "2008_000001\n2008_000004\n")


def read_submission(folder: Path) -> None:
    from deeplab.evaluation.submission import read_ids, write_submission

    write_submission(folder / "x.tgz", read_ids(folder / "test.txt"), folder, lambda path: LABELS)


def clips(folder: Path) -> None:
    import av

    for name, codec in (("x.mp4", "mpeg4"), ("y.mkv", "mjpeg"), ("z.avi", "mpeg4")):
        with av.open(str(folder / name), "w") as container:
            stream = container.add_stream(codec, rate=Fraction(10))
            stream.width, stream.height, stream.pix_fmt = 32, 16, "yuvj420p" if codec == "mjpeg" else "yuv420p"
            for number in range(4):
                frame = av.VideoFrame.from_ndarray(np.full((16, 32, 3), 60 * number, np.uint8))
                container.mux(stream.encode(frame))
            container.mux(stream.encode())


def read_clips(folder: Path) -> None:
    from deeplab.video.clip import open_clip

    for path in sorted(folder.iterdir()):
        with suppress(DeepLabError), open_clip(path) as clip:
            for number, _ in enumerate(clip.frames()):
                if number > 100:
                    break
            assert clip.is_cut_off in (True, False)


TARGETS = {
    "COCO": Target(coco, ("annotations/*",), checked("coco")),
    "COCO, any layout": Target(coco, ("annotations/*",), checked()),
    "boxes, XML": Target(boxes, ("Annotations/*", "Annotations/*", "ImageSets/*/*"), boxed("auto", "train")),
    "boxes, COCO": Target(boxes, ("boxes.json",), boxed("boxes.json", "all")),
    "Label Studio": Target(label_studio, ("result.json",), checked("coco")),
    "labelme": Target(labelme, ("x.json", "x.json", "labels.txt"), checked("labelme")),
    "names files": Target(own_classes, ("classes.txt",), checked("folder")),
    "own masks": Target(own_classes, ("masks/*", "images/*"), checked()),
    "VOC lists": Target(voc, ("ImageSets/*/*",), checked("voc")),
    "VOC masks": Target(voc, ("SegmentationClass/*",), checked("voc")),
    "NumPy masks": Target(numpy_masks, ("*/x.npy", "*/x.npy", "class_names.txt"), checked("voc")),
    "SBD": Target(sbd, ("cls/*", "cls/*", "train.txt"), checked("sbd")),
    "Cityscapes": Target(cityscapes, ("gtFine/*/*/*",), checked("cityscapes")),
    "CVAT": Target(cvat, ("labelmap.txt", "ImageSets/*/*", "SegmentationClass/*"), checked("cvat")),
    "Roboflow": Target(roboflow, ("train/_classes.csv", "train/_classes.csv", "train/x_mask.png"), checked("roboflow")),
    "YOLO": Target(yolo, ("labels/train/x.txt",), checked("yolo")),
    "data.yaml": Target(yolo, ("data.yaml",), checked("yolo")),
    "photo and mask lists": Target(lists, ("train.txt",), checked("list")),
    "masks of objects": Target(objects, ("masks/*",), checked("objects")),
    "photos": Target(photos, ("*",), read_photos),
    "label maps": Target(label_maps, ("*",), read_label_maps),
    "scores to refine": Target(scores, ("?.np?",), refine_each),
    "label sets": Target(label_files, ("*",), read_label_files),
    "stored scores": Target(stored, ("scores.json", "x.npz"), read_stored),
    "journals": Target(journal, ("trials.jsonl",), read_journal),
    "manifests": Target(manifest, ("manifest.jsonl",), read_manifest),
    "cards": Target(card, ("card.yaml",), read_card),
    "recipes": Target(recipe, ("recipe.yaml",), read_recipe),
    "models to run": Target(model, ("tiny.onnx",), run_model),
    "models to train": Target(model, ("tiny.onnx",), read_model_weights, "no layer pool1"),
    "headers": Target(header_text, ("*",), read_header_text),
    "checkpoints": Target(checkpoint, ("*",), read_checkpoint),
    "PyTorch weights": Target(weights, ("a.pth",), read_weights("a.pth"), "lacks conv2_1"),
    "safetensors": Target(weights, ("b.safetensors",), read_weights("b.safetensors"), "lacks conv2_1"),
    "npz weights": Target(weights, ("c.npz",), read_weights("c.npz"), "lacks conv1_2"),
    "Caffe weights": Target(weights, ("d.caffemodel",), read_weights("d.caffemodel"), "lacks conv1_1"),
    "kept steps": Target(kept_steps, ("*",), read_steps),
    "predictions": Target(predictions, ("predictions/*",), read_predictions),
    "variables": Target(variables, ("*",), read_variables),
    "the test server's list": Target(ids, ("test.txt",), read_submission, "is missing"),
    "videos": Target(clips, ("*",), read_clips),
    "requests": Target(requests, ("*",), partial(ask, tiny_model)),
}
"""All readers, by what they read."""
