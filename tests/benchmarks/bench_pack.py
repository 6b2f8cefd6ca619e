"""Images a second, memory and opening time of packing an archive, and the exponent of its time over images.

    python tests/benchmarks/bench_pack.py [--json FILE] [--images 12000,60000] [--folder DIR]

An archive of each size is generated in the layout of the ShapeNet renderings (two PNG an image, drawn once for forty
objects and written for as many as it takes), packed into an empty cache in a process of its own and opened again in
another. Memory is the peak of what that process holds in pages that no file backs, beyond what its imports held, and
the peak of all of its pages, among them those of mapped files, which the system takes back when it needs them. The
archive was just written, so its files come from the page cache: a slower disk lowers the rate and nothing else.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import report_file

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from shapenet_archive import VIEWS, Boxes, write_model  # noqa: E402

CATEGORY, DIFFERENT = "02958343", 40


def write(root: Path, images: int) -> None:
    """``images`` images of train objects; val and test have one object each."""
    models = []
    for number in range(DIFFERENT):
        folder = root / "drawn" / str(number)
        write_model(folder, Boxes(number), points=1000)
        models.append({path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()})
    names = [f"{number:032x}" for number in range(images // VIEWS + 2)]
    for number, name in enumerate(names):
        folder = root / CATEGORY / name
        for part in ("image", "mask"):
            (folder / part).mkdir(parents=True)
        for path, content in models[number % DIFFERENT].items():
            (folder / path).write_bytes(content)
    (root / "metadata.yaml").write_text(f"'{CATEGORY}': {{id: '{CATEGORY}', name: car}}\n")
    for split, mine in (("train", names[2:]), ("val", names[:1]), ("test", names[1:2])):
        (root / CATEGORY / f"softras_{split}.lst").write_text("".join(f"{name}\n" for name in mine))


OPEN = """
import json, resource, sys, threading, time
from pathlib import Path
from msrn.data import open_collection

def held(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(field))

start, peak, done = {f: held(f) for f in ("RssAnon", "VmRSS")}, {"RssAnon": 0, "VmRSS": 0}, threading.Event()

def watch():
    while not done.wait(0.02):
        for field in peak:
            peak[field] = max(peak[field], held(field))

watcher = threading.Thread(target=watch)
watcher.start()
wall, cpu = time.perf_counter(), time.process_time()
collection = open_collection("shapenet", "train", sys.argv[1])
found = {"seconds": time.perf_counter() - wall, "cpu": time.process_time() - cpu, "images": len(collection)}
done.set()
watcher.join()
print(json.dumps({**found, "anonymous": peak["RssAnon"] - start["RssAnon"], "resident": peak["VmRSS"]}))
"""


def measure(root: Path, cache: Path) -> dict:
    """Pack once and open twice, each in a process of its own."""
    environment = {**os.environ, "MSRN_CACHE": str(cache), "PYTHONPATH": str(ROOT)}
    found = []
    for _ in range(3):
        call = [sys.executable, "-c", OPEN, str(root)]
        found.append(json.loads(subprocess.run(call, env=environment, check=True, stdout=subprocess.PIPE).stdout))
    packed, *opened = found
    return {
        "images": packed["images"],
        "seconds": packed["seconds"],
        "cpu": packed["cpu"],
        "images_per_second": packed["images"] / packed["seconds"],
        "anonymous_bytes": packed["anonymous"],
        "resident_bytes": packed["resident"],
        "open_seconds": min(row["seconds"] for row in opened),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    report_file.add_option(parser)
    parser.add_argument("--images", default="12000,60000", help="sizes of the archives")
    parser.add_argument("--folder", help="where archives and caches are made and deleted")
    options = parser.parse_args()
    rows = []
    print(
        " ".join(f"{title:>12}" for title in ("images", "images/s", "wall s", "cpu s", "anonymous MB", "resident MB"))
    )
    for images in (int(size) for size in options.images.split(",")):
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            started = time.perf_counter()
            write(Path(folder, "archive"), images)
            rows.append({**measure(Path(folder, "archive"), Path(folder, "cache"))})
            rows[-1]["generated_seconds"] = time.perf_counter() - started
        row = rows[-1]
        megabytes = [row[key] / 2**20 for key in ("anonymous_bytes", "resident_bytes")]
        shown = (row["images"], row["images_per_second"], row["seconds"], row["cpu"], *megabytes)
        print(" ".join(f"{value:>12,.0f}" for value in shown), f"  opened in {row['open_seconds']:.2f} s")
    report = {"benchmark": "pack", "machine": platform.processor() or platform.machine(), "cores": os.cpu_count()}
    report["rows"] = rows
    if len(rows) > 1:
        n, wall, cpu = (np.log([row[key] for row in rows]) for key in ("images", "seconds", "cpu"))
        report |= {"exponent_wall": np.polyfit(n, wall, 1)[0], "exponent_cpu": np.polyfit(n, cpu, 1)[0]}
        print(f"time grows as images to the power {report['exponent_wall']:.2f} (cpu {report['exponent_cpu']:.2f})")
    report_file.write(options.json, report)


if __name__ == "__main__":
    main()
