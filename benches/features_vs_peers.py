"""Times all IBSI 1 features of this program and of pictologics on the same three volumes, round by round.

    pip install pictologics nibabel numpy scipy psutil
    python benches/features_vs_peers.py [--rounds 7] [--threads 1]

Reading files and compiling (numba) are in no time. Both measure at one aggregation; `core` is without Moran's I, Geary's C
and the local peaks. Rounds alternate, so that both see the same machine; medians are printed.
"""

import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import nibabel
import numpy as np
from scipy.ndimage import gaussian_filter

# Radii of the ellipsoids: about 46 thousand, 365 thousand and 3.0 million voxels.
SIZES = {"46k": (22, 22, 23), "365k": (44, 44, 45), "3.0M": (89, 89, 90)}


def make(folder, name, radii):
    shape = tuple(2 * r + 21 for r in radii)
    rng = np.random.default_rng(1)
    image = gaussian_filter(rng.normal(size=shape), 2.0) * 900 + rng.normal(scale=12, size=shape)
    axes = np.meshgrid(*[np.arange(n) - (n - 1) / 2 for n in shape], indexing="ij")
    mask = sum((a / r) ** 2 for a, r in zip(axes, radii)) <= 1
    paths = [folder / f"{name}_{kind}.nii" for kind in ("image", "mask")]
    nibabel.Nifti1Image(image.round().astype(np.float32), np.eye(4)).to_filename(paths[0])
    nibabel.Nifti1Image(mask.astype(np.uint8), np.eye(4)).to_filename(paths[1])
    return paths


def ours(binary, image, mask, core, threads):
    command = [binary, str(image), str(mask), "1", "core" if core else "all"]
    out = subprocess.run(
        command, check=True, capture_output=True, text=True, env={**os.environ, "RAYON_NUM_THREADS": str(threads)}
    )
    return json.loads(out.stdout)


def peer(image, mask, core):
    """In a process of its own: prints the same figures as ours."""
    import pictologics

    families = ["intensity", "morphology", "texture", "histogram", "ivh"]
    params = {"families": families}
    if not core:
        params |= {"include_spatial_intensity": True, "include_local_intensity": True}
    pipeline = pictologics.RadiomicsPipeline()
    steps = [
        {"step": "discretise", "params": {"method": "FBS", "bin_width": 25.0}},
        {"step": "extract_features", "params": params},
    ]
    pipeline.add_config("bench", steps)
    loaded = [pictologics.load_image(str(path)) for path in (image, mask)]
    figures = []
    for _ in range(2):  # the first compiles
        cpu, wall = time.process_time(), time.perf_counter()
        values = pipeline.run(*loaded, config_names=["bench"])["bench"]
        figures.append((time.process_time() - cpu, time.perf_counter() - wall))
    cpu, wall = figures[-1]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps({"values": int(values.notna().sum()), "cpu_s": cpu, "wall_s": wall, "peak_mib": peak}))


def binary():
    command = ["cargo", "bench", "--no-run", "--bench", "features", "--message-format", "json"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    built = [json.loads(line) for line in lines]
    return next(item["executable"] for item in built if item.get("target", {}).get("name") == "features")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--peer", nargs=3, metavar=("IMAGE", "MASK", "WHAT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peer:
        return peer(*options.peer[:2], options.peer[2] == "core")
    program = binary()
    threads = {"NUMBA_NUM_THREADS": str(options.threads)}
    with tempfile.TemporaryDirectory() as folder:
        for name, radii in SIZES.items():
            image, mask = make(pathlib.Path(folder), name, radii)
            for what in ("core", "all"):
                mine, theirs = [], []
                for _ in range(options.rounds):
                    mine.append(ours(program, image, mask, what == "core", options.threads))
                    command = [sys.executable, __file__, "--peer", str(image), str(mask), what]
                    out = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, **threads})
                    theirs.append(json.loads(out.stdout.splitlines()[-1]))
                for who, rows in (("radiomicsd", mine), ("pictologics", theirs)):
                    median = {key: statistics.median(row[key] for row in rows) for key in ("cpu_s", "wall_s", "peak_mib")}
                    print(f"{name:>5} {what:>4} {who:>11}: {rows[0]['values']:4} values, {median['cpu_s']:7.3f} s CPU, "
                          f"{median['wall_s']:7.3f} s, {median['peak_mib']:6.0f} MiB", flush=True)


if __name__ == "__main__":
    main()
