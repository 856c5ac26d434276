from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

NASTY = '<script>alert("&")</script>'
CLASSES = ("ground", "red & green", NASTY)


def network(name: str, title: str, folder: Path, shift: float = 0.0) -> dict[str, Any]:
    """What a report says of one network, in made-up figures; its pictures are made in a folder."""
    (folder / name).mkdir()
    for picture in ("photo.jpg", "map.png"):
        Image.new("RGB", (6, 4), (90, 120, 30)).save(folder / name / picture)
    (folder / name / "heat.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 70 30"></svg>')

    def outcome(value: float) -> dict[str, Any]:
        curve = [[value * (0.5 + width / 80), value * 0.4, min(1.0, value * 1.2)] for width in range(1, 41)]
        return {
            "mean_iou": value, "intervals": {"mean_iou": [value - 0.02, value + 0.02]},
            "iou": {"ground": value, "red & green": None, NASTY: value / 2},
            "confusion": [[90, 10, 0], [0, 0, 0], [1, 2, 97]],
            "trimap": {"mean_iou": curve, "pixel_accuracy": curve},
        }  # fmt: skip

    up, down = [0.0312, 0.01, 0.05], [-0.0104, -0.03, 0.01]
    images = dict.fromkeys(("truth", "network", "crf", "changes"), f"{name}/map.png")
    return {
        "name": name, "title": title, "parameters": 20_495_179, "field_of_view_px": 224,
        "model": {"name": name, "file": "model.onnx", "bytes": 1_000_000, "sha256": "ab" * 32, "origin": "trained here",
                  "card": {"data": NASTY}},
        "speed": {"network_ms": 1234.5, "crf_ms": 98.7, "photos": 3, "threads": 2, "sizes": ["6x4"],
                  "training_images_per_second": 1.25, "published_training_images_per_second": 4.84},
        "recipe": {"file": f"{name}-camvid.yaml", "text": f"# {NASTY}"},
        "deviations": [NASTY],
        "search": {"photos": ["a", "b", "c"],
                   "crf": {"params": {"w1": 5.0, "xy": 50.0, "rgb": 3.5, "w2": 3.0, "g": 3.0}, "iterations": 10,
                           "normalization": "after"}, "trials": [{}] * 48,
                   "best": [0.6, 0.5, 0.7], "gain": up, "runs": 480, "seconds": 12.0, "threads": 2,
                   "heat_map": f"{name}/heat.svg"},
        "evaluation": {
            "results": {"network": outcome(0.5388 + shift), "network + CRF": outcome(0.57 + shift)},
            "gain": {"mean_iou": up, "pixel_accuracy": down, "iou": dict.fromkeys(CLASSES, up)},
            "trimap_gain": {"mean_iou": [up] * 40, "pixel_accuracy": [up] * 40},
            "by_photo": {"names": ["a", "b", "c"],
                         "mean_iou": {"network": [0.5, 0.6, None], "network + CRF": [0.6, 0.5, None]}},
        },
        "gallery": [{"name": NASTY, "kind": "best", "mean_iou": [0.5, 0.6], "size": [6, 4],
                     "images": {"photo": f"{name}/photo.jpg", **images}}],
        "mean_field": {"name": "a", "label": NASTY, "steps": [
            {"updates": updates, "score": f"{name}/map.png", "belief": f"{name}/map.png"} for updates in (0, 1, 10)]},
        "seconds": {"scoring": 12.25, "search": 190.0, "evaluation": 4000.0},
    }  # fmt: skip


@pytest.fixture
def content(tmp_path: Path) -> dict[str, Any]:
    """A report of two networks over three classes, one of them with a nasty name."""
    networks = [network("largefov", "DeepLab-LargeFOV", tmp_path), network("fcn8s", NASTY, tmp_path, -0.03)]
    measures = ("mean_iou", "pixel_accuracy", "mean_class_accuracy", "boundary_f1")

    def row(which: dict[str, Any], way: str) -> dict[str, Any]:
        value = which["evaluation"]["results"][way]["mean_iou"]
        figures = {
            "value": value,
            "low": value - 0.02,
            "high": value + 0.02,
            "published": 0.5,
            "difference": value - 0.5,
        }
        return {
            "network": which["name"],
            "title": which["title"],
            "way": way,
            "figures": dict.fromkeys(measures, figures),
        }

    return {
        "benchmark": "camvid", "title": "CamVid", "quick": False, "made": "2026-01-02T03:04:05+00:00",
        "label_set": {"names": list(CLASSES), "palette": [[0, 0, 0], [200, 0, 0], [0, 200, 0], [9, 9, 9]]},
        "changes": {"names": ["right", "wrong"], "palette": [[250, 250, 250], [1, 1, 1]]},
        "data": {"search_split": "val", "search_photos": 3, "test_split": "test", "test_photos": 3,
                 "available_photos": 233, "trimap_around": "classes"},
        "seed": 0, "crf_search": "288 settings, then finer around the best", "resamples": 1000, "deviations": ["One."],
        "table1": [row(which, way) for which in networks for way in ("network", "network + CRF")],
        "compared": [{"network": NASTY, "over": "LargeFOV", "way": "network", "mean_iou": [-0.03, -0.05, -0.01]}],
        "networks": networks,
        "published": [{"title": "SegNet", "way": "network", "percent": {"mean_iou": 60.10}, "source": NASTY}],
        "machine": {"processor": "a processor", "cores": 2, "system": "Linux"},
        "versions": {"python": "3.12", "deeplab-crf": "0.1.0"},
    }  # fmt: skip
