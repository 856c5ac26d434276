"""What a photo needs in memory, against what a system says there is."""

import numpy as np
import pytest

from deeplab.crf import PARITY, memory, refine
from deeplab.crf.memory import available_bytes, check_memory

MEMINFO = "MemTotal:  24684084 kB\nMemFree:  100 kB\nMemAvailable:   2000 kB\nSwapTotal:  900 kB\nSwapFree:  500 kB\n"


@pytest.fixture
def system(tmp_path):
    """Return a function that writes what the system says, and asks how much there is."""

    def says(meminfo, *limits):
        files = [tmp_path / f"limit{i}" for i in range(len(limits))]
        for file, text in zip([tmp_path / "meminfo", *files], [meminfo, *limits], strict=True):
            if text is not None:
                file.write_text(text)
        return available_bytes(tmp_path / "meminfo", tuple(files))

    return says


def test_available_is_what_can_be_given_back_and_the_free_swap(system):
    assert system(MEMINFO) == (2000 + 500) * 1024


@pytest.mark.parametrize("limits", [("max\n",), (None,), ("9223372036854771712\n", None), ("not a number",)])
def test_no_limit_of_the_group(system, limits):
    assert system(MEMINFO, *limits) == (2000 + 500) * 1024


def test_limit_of_the_group(system):
    assert system(MEMINFO, None, f"{300 * 1024}\n") == (300 + 500) * 1024


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
    """The least that is certain to be needed: the result, and 64 bytes per pixel for the lattice."""
    image, probabilities = make_scene(40, 50, 3)
    needed = 40 * 50 * (3 * 4 + 64)
    monkeypatch.setattr(memory, "available_bytes", lambda: needed)
    refine(image, probabilities, shortcuts=PARITY)
    monkeypatch.setattr(memory, "available_bytes", lambda: needed - 1)
    with pytest.raises(MemoryError, match="shrink the photo"):
        refine(image, probabilities, shortcuts=PARITY)
    refine(image, probabilities, shortcuts=PARITY, mask=np.eye(40, 50, dtype=bool))  # a lattice of 40 points
