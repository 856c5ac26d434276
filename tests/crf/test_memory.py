"""What a photo needs in memory, against what a system says there is."""

import subprocess
import sys

import numpy as np
import pytest

from deeplab.crf import PARITY, DenseCRF, bilateral_kernel, memory, refine, spatial_kernel
from deeplab.crf.lattice import build_lattice
from deeplab.crf.memory import available_bytes, check_memory, memory_for
from deeplab.crf.pydensecrf.utils import create_pairwise_bilateral, create_pairwise_gaussian

MEMINFO = "MemTotal:  24684084 kB\nMemFree:  100 kB\nMemAvailable:   2000 kB\nSwapTotal:  900 kB\nSwapFree:  500 kB\n"


@pytest.fixture
def system(tmp_path):
    """Return a function that writes what the system says, and asks how much there is."""

    def says(meminfo, *limits):
        files = [tmp_path / f"limit{i}" for i in range(len(limits))]
        for file, text in zip([tmp_path / "meminfo", *files], [meminfo, *limits], strict=True):
            if text is not None:
                file.write_text(text)
        return available_bytes(tmp_path / "meminfo", tuple(files), tmp_path)

    return says


def test_available_is_what_can_be_given_back_and_the_free_swap(system):
    assert system(MEMINFO) == (2000 + 500) * 1024


@pytest.mark.parametrize("limits", [("max\n",), (None,), ("9223372036854771712\n", None), ("not a number",)])
def test_no_limit_of_the_group(system, limits):
    assert system(MEMINFO, *limits) == (2000 + 500) * 1024


def test_limit_of_the_group(system):
    assert system(MEMINFO, None, f"{300 * 1024}\n") == (300 + 500) * 1024


@pytest.mark.parametrize(
    ("limit", "left"), [("unlimited", 2500 * 1024), (str(900 * 1024), 700 * 1024), (str(100 * 1024), 0)]
)
def test_limit_of_the_process(system, tmp_path, limit, left):
    """What `ulimit -v` says, less what is mapped already."""
    (tmp_path / "limits").write_text(
        f"Limit   Soft Limit\nMax address space         {limit}      unlimited     bytes\n"
    )
    (tmp_path / "status").write_text("VmPeak:\t     300 kB\nVmSize:\t     200 kB\n")
    assert system(MEMINFO) == left


def test_a_system_that_says_nothing_limits_nothing_a_process_can_address(system):
    assert system(None) == 2**47
    assert system("MemTotal: 5 kB\n") == 2**47


def test_this_system_has_some():
    check_memory(1 << 20, "one megabyte", "")
    assert 1 << 20 < available_bytes() <= 2**47 + 2**44


def test_what_cannot_fit_is_refused_before_any_work(monkeypatch):
    """48 TB of probabilities that lie in a single number: nothing reads them."""
    monkeypatch.setattr(memory, "available_bytes", lambda: 32 * 10**9)
    image = np.broadcast_to(np.uint8(0), (750_000, 760_000, 3))
    even = np.broadcast_to(np.float32(1 / 21), (21, 750_000, 760_000))
    with pytest.raises(MemoryError, match=r"21 labels of 760000x750000 pixels needs at least 478\d\d\.\d GB.*32\.0 GB"):
        refine(image, even)


def test_what_may_fit_is_not_refused(monkeypatch, make_scene):
    """The least that is certain to be needed: the result, and 60 bytes per pixel for the bilateral lattice."""
    image, probabilities = make_scene(40, 50, 3)
    needed = 40 * 50 * (3 * 4 + 5 * 12)
    monkeypatch.setattr(memory, "_WORTH_A_LOOK", 0)
    monkeypatch.setattr(memory, "available_bytes", lambda: needed)
    refine(image, probabilities, shortcuts=PARITY)
    monkeypatch.setattr(memory, "available_bytes", lambda: needed - 1)
    with pytest.raises(MemoryError, match="shrink the photo"):
        refine(image, probabilities, shortcuts=PARITY)
    refine(image, probabilities, shortcuts=PARITY, mask=np.eye(40, 50, dtype=bool))  # a lattice of 40 points


POINTS = 96 * 512 * 512
ZERO = np.zeros(1, np.uint8)


@pytest.mark.parametrize(
    ("work", "needed", "what"),
    [
        (
            lambda: build_lattice(np.broadcast_to(np.float32(0), (POINTS, 4)), 1),
            8 * 5 * POINTS,
            "a lattice over 25,165,824 points of 4 features",
        ),
        (
            lambda: bilateral_kernel(np.broadcast_to(ZERO, (96 * 512, 512, 3)), xy_std_px=3, rgb_std=3, weight=1),
            4 * 5 * POINTS,
            "a kernel of 5 features over 512x49152 pixels",
        ),
        (
            lambda: spatial_kernel(96 * 512, 512, xy_std_px=3, weight=1),
            4 * 2 * POINTS,
            "a kernel of 2 features over 512x49152 pixels",
        ),
        (
            lambda: create_pairwise_gaussian(3, (96, 512, 512)),
            8 * 3 * POINTS,
            "a table of 3 features of 25,165,824 points and its parts",
        ),
        (
            lambda: create_pairwise_bilateral(3, 3, np.broadcast_to(ZERO, (96, 512, 512))),
            8 * 4 * POINTS,
            "a table of 4 features of 25,165,824 points and its parts",
        ),
        (
            lambda: DenseCRF(np.zeros((2, 5_000_000), np.float32), []).infer(1),
            4 * 2 * 5_000_000,
            "mean field inference of 2 labels at 5,000,000 points",
        ),
    ],
)
def test_a_volume_that_cannot_fit_is_refused_with_figures_before_any_work(monkeypatch, work, needed, what):
    monkeypatch.setattr(memory, "_WORTH_A_LOOK", 0)
    monkeypatch.setattr(memory, "available_bytes", lambda: needed - 1)
    gigabytes = rf"{needed / 1e9:.1f} GB"
    with pytest.raises(MemoryError, match=f"{what} needs at least {gigabytes} of memory; {gigabytes} are available: "):
        work()


def test_memory_that_runs_out_on_the_way_is_told_with_figures(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 3 * 10**9)
    said = r"a sum needs at least 2\.0 GB of memory, and more .* than the 3\.0 GB .*: shrink it"
    with pytest.raises(MemoryError, match=said), memory_for(2 * 10**9, "a sum", "shrink it"):
        raise MemoryError("std::bad_alloc")


@pytest.mark.parametrize(
    ("keep", "said"), [("", ""), ("ctypes.pythonapi.Py_IncRef(ctypes.py_object(lattice))", "leaked 1 inst")]
)
def test_the_native_core_leaves_nothing_behind_at_exit(keep, said):
    script = f"""
import ctypes
import subprocess
import sys

import numpy as np
from deeplab.crf import DenseCRF, GaussianKernel, _native, refine
_native.set_leak_warnings(True)
probabilities = np.full((3, 20, 30), 1 / 3, np.float32)
refine(np.zeros((20, 30, 3), np.uint8), probabilities)
field = DenseCRF.from_probabilities(probabilities, [GaussianKernel(np.zeros((600, 2)))])
beliefs = field.iterate()
next(beliefs)
lattice = _native.Lattice(np.zeros((5, 2), np.float32), 1)
{keep}
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert said in ended.stderr if said else not ended.stderr
