"""Photos in S3: moto stands in for it on the loopback. Run with ``pip install '.[ray]' 'moto[server]'``."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from deeplab.batch.remote import RemotePhoto, find_anywhere
from deeplab.label_maps import read_label_map

fs = pytest.importorskip("pyarrow.fs", reason="needs the extra ray")
moto = pytest.importorskip("moto.server", reason="needs moto[server]")

IDENTITY = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bytes]]:
    """What is in ``s3://album/photos``, by name; elsewhere in the bucket is another photo."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about moto's own requirements
        server = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        server.start()
    host, port = server.get_host_and_port()
    for name, value in (IDENTITY | {"AWS_ENDPOINT_URL": f"http://{host}:{port}"}).items():
        monkeypatch.setenv(name, value)
    random, contents = np.random.default_rng(6), {}
    for name in ("a 1%.png", "b.JPG"):
        Image.fromarray(random.integers(0, 256, (24, 30, 3), dtype=np.uint8)).save(tmp_path / name)
        contents[name] = (tmp_path / name).read_bytes()
    files, _ = fs.FileSystem.from_uri("s3://album?allow_bucket_creation=true")
    files.create_dir("album")
    for name, content in {"notes.txt": b"", "sub/c.png": b"c", **contents}.items():
        with files.open_output_stream(f"album/photos/{name}") as stream:
            stream.write(content)
    yield contents
    server.stop()


def test_photos_in_a_bucket(photos: dict[str, bytes]) -> None:
    found = list(find_anywhere(["s3://album/photos", "s3://album/photos/b.JPG"]))
    assert [str(photo) for photo in found] == [f"s3://album/photos/{name}" for name in photos]
    for photo, content in zip(found, photos.values(), strict=True):
        assert isinstance(photo, RemotePhoto)
        assert photo.read() == content
        assert photo.size_bytes == len(content)
    missing = list(find_anywhere(["s3://album/none", "s3://nobody/photos"]))
    assert [str(error).partition(": ")[2] for error in missing] == [
        "no such folder or photo; check the address and the rights"
    ] * 2


def test_segmenting_a_bucket(photos: dict[str, bytes], tmp_path: Path, tiny_model: Path, run: Any) -> None:
    (tmp_path / "here").mkdir()
    for name, content in photos.items():
        (tmp_path / "here" / name).write_bytes(content)
    for source, output in (("s3://album/photos", "remote"), (str(tmp_path / "here"), "local")):
        outcome = run("segment", source, "-o", str(tmp_path / output), "--model", str(tiny_model))
        assert outcome.status == 0, outcome.err
    for name in photos:
        remote, local = (read_label_map(tmp_path / where / f"{Path(name).stem}.png") for where in ("remote", "local"))
        np.testing.assert_array_equal(remote, local)
