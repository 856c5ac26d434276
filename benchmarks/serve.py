"""`deeplab serve` under load: throughput, latency and memory.

    python benchmarks/serve.py [PHOTO] [--seconds 60] [--clients 1 4 16] [--workers 1] [--requests 2000]

Each client asks for a label map (network and CRF) again as soon as it has its last answer, over one connection. Latency
is what the client sees, waiting included; requests refused because the queue is full are counted apart and asked again
after the pause that the server names. "Alone" is the same work without a server, in this process.

Memory is resident memory of the server and its workers over a mixture of everything a client may ask: photos of several
sizes taken in, refined, downloaded and forgotten or left to expire, programs' requests, and files that are no photos.
It should grow while the kept photos fill their room (shown) and then stay.
"""

import argparse
import io
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
from PIL import Image

from deeplab.images import read_image
from deeplab.segment import Segmenter

EXAMPLE = Path(__file__).parent.parent / "examples" / "cat.jpg"
NO_PHOTO = b"<svg xmlns='http://www.w3.org/2000/svg'/>"


class Server:
    """`deeplab serve` in a process of its own."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "deeplab", "serve", "--port", "0", "--no-open", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        found = re.search(r"http://\S+", self.process.stdout.readline())
        if found is None:
            sys.exit("deeplab serve did not start")
        self.url = found[0].rstrip("/")

    def resident_mb(self) -> tuple[float, float]:
        """Return the resident memory of the server and of its workers together, in MB."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return resident_mb(self.process.pid), sum(resident_mb(int(child)) for child in children)

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait()


def resident_mb(process: int) -> float:
    status = Path(f"/proc/{process}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) * 1024 / 1e6


def encoded(photo: Image.Image, side: int) -> bytes:
    file = io.BytesIO()
    smaller = photo.copy()
    smaller.thumbnail((side, side))
    smaller.save(file, "JPEG", quality=90)
    return file.getvalue()


def alone(photo: bytes, runs: int = 5) -> float:
    """Return the median seconds of the same work in this process."""
    segmenter, times = Segmenter.from_pretrained(), []
    for _ in range(runs + 1):
        started = time.perf_counter()
        labels = segmenter.segment(read_image(Image.open(io.BytesIO(photo)))).labels
        Image.fromarray(labels).save(io.BytesIO(), "PNG")
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])


def load(server: Server, photo: bytes, clients: int, seconds: float) -> tuple[list[float], int, float]:
    """Return the latencies of all answers, how often a client was told to come back, and the seconds all took."""
    end = time.perf_counter() + seconds

    def one(_: int) -> tuple[list[float], int]:
        latencies, refused = [], 0
        with httpx.Client(base_url=server.url, timeout=300) as client:
            while time.perf_counter() < end:
                started = time.perf_counter()
                answer = client.post("/api/v1/segment", params={"format": "mask"}, files={"photo": ("p.jpg", photo)})
                if answer.status_code == 503:
                    refused += 1
                    time.sleep(min(float(answer.headers["Retry-After"]), max(0, end - time.perf_counter())))
                else:
                    answer.raise_for_status()
                    latencies.append(time.perf_counter() - started)
        return latencies, refused

    started = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        results = list(pool.map(one, range(clients)))
    taken = time.perf_counter() - started
    return [latency for latencies, _ in results for latency in latencies], sum(refused for _, refused in results), taken


def report_load(server: Server, photo: bytes, clients: int, seconds: float, alone_s: float) -> None:
    latencies, refused, taken = load(server, photo, clients, seconds)
    p50, p95, p99 = np.percentile(latencies, (50, 95, 99))
    rate = len(latencies) / taken
    print(
        f"{clients:>7}  {len(latencies):>8}  {refused:>7}  {rate:>6.2f}  {rate * alone_s:>9.2f}  "
        f"{p50:>6.2f}  {p95:>6.2f}  {p99:>6.2f}",
        flush=True,
    )


def mixture(server: Server, photos: list[bytes], count: int, clients: int = 4) -> None:
    """Ask `count` times, for everything in turn."""

    def ask(number: int) -> int:
        photo = photos[number % len(photos)]
        with httpx.Client(base_url=server.url, timeout=300) as client:
            match number % 5:
                case 0:
                    files = {"photo": ("p.jpg", photo)}
                    url = f"/api/v1/photos/{client.post('/api/v1/photos', files=files).json()['id']}"
                    client.post(f"{url}/refine", json={"every_iteration": True, "iterations": 3}).raise_for_status()
                    client.get(f"{url}/cutout.png").raise_for_status()
                    if number % 10 == 0:
                        client.delete(url).raise_for_status()
                        return 4
                    return 3
                case 1 | 2:
                    form = ("json", "mask", "overlay", "npz")[number // 5 % 4]
                    files = {"photo": ("p.jpg", photo)}
                    client.post("/api/v1/segment", params={"format": form}, files=files).raise_for_status()
                case 3:
                    answer = client.post("/api/v1/segment", files={"photo": ("p.svg", NO_PHOTO)})
                    assert answer.status_code == 422, answer.text
                case 4:
                    client.get("/metrics").raise_for_status()
            return 1

    done = 0
    with ThreadPoolExecutor(clients) as pool:
        for start in range(0, count, clients):
            done += sum(pool.map(ask, range(start, start + clients)))
            if done >= count:
                return


def report_memory(server: Server, photo: Image.Image, requests: int) -> None:
    photos = [encoded(photo, side) for side in (40, 60, 80, 120)]
    mixture(server, photos, 40)
    print(f"\n{'requests':>8}  {'server MB':>9}  {'worker MB':>9}  {'kept photos':>11}  {'kept MB':>8}")
    done, steps = 0, 8
    for step in range(steps + 1):
        target = requests * step // steps
        mixture(server, photos, target - done)
        done = target
        metrics = httpx.get(f"{server.url}/metrics").text
        kept, kept_bytes = (
            float(re.search(rf"^{name} (\S+)", metrics, re.MULTILINE)[1])
            for name in ("deeplab_photos_kept", "deeplab_photos_bytes")
        )
        own, workers = server.resident_mb()
        print(f"{done:>8}  {own:>9.1f}  {workers:>9.1f}  {kept:>11.0f}  {kept_bytes / 1e6:>8.1f}", flush=True)


def machine() -> str:
    names = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return f"{names[0] if names else platform.machine()}, {len(os.sched_getaffinity(0))} cores"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", nargs="?", type=Path, default=EXAMPLE)
    parser.add_argument("--seconds", type=float, default=60, help="of load for each number of clients; 0: none")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--requests", type=int, default=2000, help="for memory; 0: none")
    arguments = parser.parse_args()

    photo = Image.open(arguments.photo).convert("RGB")
    content = encoded(photo, 500)
    print(f"{machine()}; Python {platform.python_version()}; {arguments.workers} worker(s)")
    server = Server("--workers", str(arguments.workers), "--timeout-s", "300")
    try:
        if arguments.seconds:
            width, height = Image.open(io.BytesIO(content)).size
            alone_s = alone(content)
            print(f"{arguments.photo.name} at {width}x{height}; alone {alone_s:.3f} s; {arguments.seconds:g} s each\n")
            print("clients   answers  refused     1/s  of alone   p50 s   p95 s   p99 s")
            for clients in arguments.clients:
                report_load(server, content, clients, arguments.seconds, alone_s)
        if arguments.requests:
            report_memory(server, photo, arguments.requests)
    finally:
        server.stop()


if __name__ == "__main__":
    main()
