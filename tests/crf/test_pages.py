"""The pages of tables that are no longer used are kept for the next call. Each test is a process of its own."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="pages are kept on Linux only")

START = """
import os, threading
import numpy as np
from deeplab.crf import PARITY, refine

def megabytes(name, file="status"):
    return int(next(line for line in open(f"/proc/self/{file}") if line.startswith(name)).split()[1]) / 1024

def call(height, width, labels, threads=2):
    random = np.random.default_rng(0)
    image = random.integers(0, 255, (height // 20, width // 20, 3)).repeat(20, 0).repeat(20, 1).astype(np.uint8)
    probabilities = np.full((labels, height, width), 1 / labels, np.float32)
    refine(image, probabilities, iterations=1, normalization="symmetric", shortcuts=PARITY, threads=threads)

call(20, 20, 2)
"""


def run(program):
    subprocess.run([sys.executable, "-W", "ignore", "-c", START + program], check=True, timeout=120)


def test_later_calls_need_no_more_memory_than_the_first():
    """But for NumPy's small arrays, which may now meet pages that are kept."""
    run("""
call(400, 400, 10)
first = megabytes("VmHWM")
for height in (400, 360, 380, 400):
    call(height, 400, 10)
assert megabytes("VmHWM") < 1.15 * first, (megabytes("VmHWM"), first)
""")


def test_what_is_kept_is_free_for_the_system_to_take():
    run("""
call(400, 400, 10)
assert megabytes("LazyFree", "smaps_rollup") > 10
""")


def test_at_most_128_mebibytes_are_kept():
    run("""
before = megabytes("VmRSS")
call(600, 800, 60)
assert megabytes("VmHWM") > before + 300
assert megabytes("VmRSS") < before + 128 + 30
""")


def test_a_fork_amid_other_threads_calls_leaves_the_child_able_to_call():
    run("""
ended = threading.Event()
def busily():
    while not ended.is_set():
        call(100, 200, 3, threads=1)
threads = [threading.Thread(target=busily) for _ in range(2)]
for thread in threads:
    thread.start()
try:
    for _ in range(100):
        child = os.fork()
        if not child:
            import signal
            signal.alarm(20)
            call(100, 200, 3, threads=1)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
finally:
    ended.set()
""")
