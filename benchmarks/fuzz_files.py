"""Damaged and hostile files against all readers: tracebacks, hangs of over 10 s, more than 2 GB of memory.

    python benchmarks/fuzz_files.py [--inputs 20000] [--seed 0] [--only COCO YOLO …] [--workers 2] [--keep DIR]

Each input is a small sound file with something wrong, read in a worker process with a memory limit; what it does is
measured there. A refusal is an error of deeplab's own. Everything follows from the seed: `--only NAME --seed N --inputs
1` makes one input again, and `--keep` leaves the files of what was found. It needs all extras, and Linux.
"""

import argparse
import faulthandler
import multiprocessing
import os
import random
import re
import resource
import shutil
import sys
import tempfile
import time
import traceback
import warnings
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from fuzz_mutations import mutated
from fuzz_targets import TARGETS, Target

from deeplab.errors import DeepLabError

MOST_SECONDS = 10  # of the processor
MOST_BYTES = 2 << 30
PATIENCE_S = 120  # of the clock, until a worker is taken to hang
LIMIT_BYTES = 5 << 30  # of a worker's own memory, so that the machine survives
MIB = 1 << 20


class Outcome(NamedTuple):
    """What came of an input: "read", "refused", or what is wrong; and what it took."""

    kind: str
    said: str
    seconds: float
    peak_bytes: int


def worker(connection: Connection, name: str, folder: str) -> None:
    """Read inputs of one target, by their seeds, until the connection ends."""
    faulthandler.enable()
    warnings.simplefilter("ignore")
    os.chdir(folder)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)  # what libraries print
    os.dup2(null, 2)
    target, place = TARGETS[name], Path(folder) / "input"
    sound = sound_files(target, place)
    first = outcome_of(target, place)  # imports and caches belong to no input
    sound_enough = target.lacks in first.said if target.lacks else first.kind == "read"
    connection.send(None if sound_enough else first._replace(kind="unsound"))
    resource.setrlimit(resource.RLIMIT_DATA, (LIMIT_BYTES, LIMIT_BYTES))
    while True:
        try:
            seed = connection.recv()
        except EOFError:
            return
        lay_out(target, place, sound, random.Random(f"{name} {seed}"))
        connection.send(outcome_of(target, place))


def sound_files(target: Target, place: Path) -> dict[Path, bytes]:
    place.mkdir()
    target.make(place)
    return {path.relative_to(place): path.read_bytes() for path in sorted(place.rglob("*")) if path.is_file()}


def lay_out(target: Target, place: Path, sound: dict[Path, bytes], chance: random.Random) -> None:
    """Write the sound files with one of them, or two, changed."""
    shutil.rmtree(place)
    changed: set[Path] = set()
    for _ in range(chance.choice((1, 1, 1, 2))):
        pattern = chance.choice(target.changed)
        changed.add(chance.choice([path for path in sound if path.match(pattern)]))
    for path, content in sound.items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_bytes(mutated(content, path.suffix, chance) if path in changed else content)


def outcome_of(target: Target, place: Path) -> Outcome:
    Path("/proc/self/clear_refs").write_text("5")  # the peak is this input's
    before, started = _memory_bytes("VmRSS"), time.process_time()
    kind, said = "read", ""
    try:
        target.read(place)
    except DeepLabError as error:
        kind, said = "refused", str(error)
        if "\n" in said or len(said) > 2000:
            kind = "long message"
    except MemoryError as error:
        kind, said = ("refused", str(error)) if "needs" in str(error) else ("memory", _trace())
    except BaseException:
        kind, said = "traceback", _trace()
    seconds = time.process_time() - started
    peak = max(0, _memory_bytes("VmHWM") - before)
    if seconds > MOST_SECONDS:
        kind = "hang"
    elif peak > MOST_BYTES:
        kind = "memory"
    return Outcome(kind, said, seconds, peak)


def _memory_bytes(name: str) -> int:
    found = re.search(rf"{name}:\s+(\d+)", Path("/proc/self/status").read_text())
    return int(found[1]) * 1024 if found else 0


def _trace() -> str:
    return "".join(traceback.format_exc().splitlines(keepends=True)[-12:])


def outcomes_of(name: str, seeds: range, keep: Path | None) -> Iterator[tuple[int, Outcome]]:
    """Yield what came of each of a target's inputs; a worker that hangs or dies is replaced."""
    spawn = multiprocessing.get_context("spawn")
    left = list(seeds)
    while left:
        ours, theirs = spawn.Pipe()
        with tempfile.TemporaryDirectory() as folder:
            process = spawn.Process(target=worker, args=(theirs, name, folder), daemon=True)
            process.start()
            theirs.close()
            if (unsound := ours.recv()) is not None:
                yield left[0], unsound
                return
            while left:
                ours.send(left[0])
                outcome = _answer(ours)
                yield left[0], outcome
                if keep is not None and outcome.kind not in ("read", "refused"):
                    _keep(keep / f"{zlib.crc32(name.encode()):08x}-{left[0]}", name, left[0], outcome)
                del left[0]
                if outcome.kind in ("hang", "died"):
                    break
            process.kill()
            process.join()


def _answer(connection: Connection) -> Outcome:
    try:
        if connection.poll(PATIENCE_S):
            answer: Outcome = connection.recv()
            return answer
    except EOFError:
        return Outcome("died", "the process ended", 0, 0)
    return Outcome("hang", "", PATIENCE_S, 0)


def _keep(folder: Path, name: str, seed: int, outcome: Outcome) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    target = TARGETS[name]
    with tempfile.TemporaryDirectory() as made:
        sound = sound_files(target, Path(made) / "input")
        lay_out(target, Path(made) / "input", sound, random.Random(f"{name} {seed}"))
        shutil.copytree(Path(made) / "input", folder / "input")
    (folder / "outcome.txt").write_text(f"{name}, seed {seed}: {outcome.kind}\n{outcome.said}\n", errors="replace")


def report(name: str, outcomes: list[tuple[int, Outcome]]) -> list[tuple[str, int, Outcome]]:
    """Print a target's line, and return what was found."""
    found = [(name, seed, outcome) for seed, outcome in outcomes if outcome.kind not in ("read", "refused")]
    refused = sum(outcome.kind == "refused" for _, outcome in outcomes)
    slowest, largest = (max(outcome[at] for _, outcome in outcomes) for at in (2, 3))
    print(f"{name:24}{len(outcomes):8}{refused:9}{slowest:9.2f} s{largest / MIB:8.0f} MB{len(found):8}", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=20_000, help="of all targets together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=TARGETS, metavar="NAME", help=", ".join(TARGETS))
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    names = given.only or list(TARGETS)
    counts = [given.inputs // len(names) + (place < given.inputs % len(names)) for place in range(len(names))]
    print(f"{'':24}{'inputs':>8}{'refused':>9}{'slowest':>11}{'peak':>11}{'found':>8}")
    started, found = time.monotonic(), []

    def run(name: str, count: int) -> tuple[str, list[tuple[int, Outcome]]]:
        return name, list(outcomes_of(name, range(given.seed, given.seed + count), given.keep))

    with ThreadPoolExecutor(given.workers) as pool:
        for name, outcomes in pool.map(run, names, counts):
            if outcomes:
                found += report(name, outcomes)
    print(f"{sum(counts):,} inputs in {(time.monotonic() - started) / 60:.1f} min, {len(found)} findings")
    for name, seed, outcome in found:
        print(f"\n{name}, seed {seed}: {outcome.kind}, {outcome.seconds:.1f} s\n{outcome.said}")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
