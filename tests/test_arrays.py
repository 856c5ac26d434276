"""NumPy's files from anyone: what they would take is known before it is taken."""

import io
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from deeplab.arrays import map_npy, open_npz
from deeplab.errors import InputError


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def claiming(shape: str, dtype: str = "<f4") -> bytes:
    """The bytes of an array whose header says more than follows."""
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(64)


def test_arrays_come_back(tmp_path: Path) -> None:
    array = np.arange(12, dtype=np.float16).reshape(3, 4)
    np.save(tmp_path / "a.npy", array)
    np.savez_compressed(tmp_path / "a.npz", a=array, name=np.array("x"))
    np.testing.assert_array_equal(map_npy(tmp_path / "a.npy"), array)
    with open_npz(tmp_path / "a.npz") as archive:
        assert archive.names == ["a", "name"]
        np.testing.assert_array_equal(archive["a"], array)
        assert str(archive["name"]) == "x"


BAD = [
    (claiming("(100000, 100000)"), r"a\.np"),
    (claiming("(-1, 2)"), "expected a plain array of numbers"),
    (claiming("(" + "9" * 40 + ",)"), r"a\.np"),
    (claiming("(2, 2)", "|O"), "expected a plain array of numbers"),
    (claiming("(1000000000000,)", "|V0"), "expected a plain array of numbers"),
    (claiming("(" + "1, " * 40 + ")"), "expected a plain array of numbers"),
    (b"\x93NUMPY\x09\x00", r"a\.np"),
    (b"no array", r"a\.np"),
    (b"", r"a\.np"),
]


@pytest.mark.parametrize(("content", "said"), BAD)
def test_bad_arrays_are_refused_before_memory_is_taken(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(content)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("a.npy", content)
    tracemalloc.start()
    with pytest.raises(InputError, match=said):
        map_npy(path)
    with pytest.raises(InputError, match=said), open_npz(tmp_path / "a.npz") as archive:
        archive["a"]
    assert tracemalloc.get_traced_memory()[1] < 5e6
    tracemalloc.stop()


def test_a_file_that_unpacks_to_gigabytes_is_refused_with_a_way_out(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", claiming("(1500, 1000, 1000)"))
    with (
        pytest.raises(InputError, match=r"'a' unpacks to 6 GB; expected at most 1.2 GB .*numpy.save"),
        open_npz(path) as archive,
    ):
        archive["a"]


def test_several_arrays_have_one_limit_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deeplab.arrays.MOST_BYTES", 100)
    np.savez(tmp_path / "a.npz", a=np.zeros(60, np.uint8), b=np.zeros(60, np.uint8))
    with open_npz(tmp_path / "a.npz") as archive:
        assert archive["a"].size == 60
        with pytest.raises(InputError, match="'b' unpacks to"):
            archive["b"]


@pytest.mark.parametrize("packing", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_packings_of_other_programs_are_refused(tmp_path: Path, packing: int) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w", packing) as archive:
        archive.writestr("a.npy", npy(np.zeros(3)))
    with pytest.raises(InputError, match="packed in a way"), open_npz(tmp_path / "a.npz") as archive:
        archive["a"]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no zip"])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.npz"), open_npz(tmp_path / "a.npz"):
        pass
    with pytest.raises(InputError, match="No such file"), open_npz(tmp_path / "b.npz"):
        pass
