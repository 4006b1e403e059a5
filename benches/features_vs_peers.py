"""Times the features of this program, of pictologics and of PyRadiomics on the same three volumes, round by round.

    pip install pictologics nibabel numpy scipy psutil          # Python 3.12
    pip install pyradiomics                                     # where that has no wheel: another Python, named by --pyradiomics
    python benches/features_vs_peers.py [--rounds 7] [--threads 1] [--sizes 365k,3.0M] [--pyradiomics PYTHON] [--binary FILE]

Reading files and compiling (numba) are in no time. All measure at one aggregation; `core` is without Moran's I, Geary's C
and the local peaks; `filters`, against PyRadiomics and only on the middle volume, is `core` on Laplacians of Gaussian of
five widths and on eight wavelet bands. Rounds alternate, so that all see the same machine; medians are printed.
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

# Radii of the ellipsoids: about 46 thousand, 365 thousand and 3.0 million voxels.
SIZES = {"46k": (22, 22, 23), "365k": (44, 44, 45), "3.0M": (89, 89, 90)}


def make(folder, name, radii):
    import nibabel
    import numpy as np
    from scipy.ndimage import gaussian_filter

    shape = tuple(2 * r + 21 for r in radii)
    rng = np.random.default_rng(1)
    image = gaussian_filter(rng.normal(size=shape), 2.0) * 900 + rng.normal(scale=12, size=shape)
    axes = np.meshgrid(*[np.arange(n) - (n - 1) / 2 for n in shape], indexing="ij")
    mask = sum((a / r) ** 2 for a, r in zip(axes, radii)) <= 1
    paths = [folder / f"{name}_{kind}.nii" for kind in ("image", "mask")]
    nibabel.Nifti1Image(image.round().astype(np.float32), np.eye(4)).to_filename(paths[0])
    nibabel.Nifti1Image(mask.astype(np.uint8), np.eye(4)).to_filename(paths[1])
    return paths


def ours(binary, image, mask, what, threads):
    command = [binary, str(image), str(mask), "1", what]
    out = subprocess.run(
        command, check=True, capture_output=True, text=True, env={**os.environ, "RAYON_NUM_THREADS": str(threads)}
    )
    return json.loads(out.stdout)


def peer(image, mask, core):
    """In a process of its own: prints the same figures as ours."""
    import nibabel
    import pictologics

    # The bins begin at the region's lowest intensity, as ours do where nothing re-segments.
    inside = nibabel.load(mask).get_fdata() > 0
    lowest = float(nibabel.load(image).get_fdata()[inside].min())
    families = ["intensity", "morphology", "texture", "histogram", "ivh"]
    params = {"families": families}
    if not core:
        params |= {"include_spatial_intensity": True, "include_local_intensity": True}
    pipeline = pictologics.RadiomicsPipeline()
    steps = [
        {"step": "discretise", "params": {"method": "FBS", "bin_width": 25.0, "min_val": lowest}},
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


def pyradiomics(image, mask):
    """In a process of its own, with the Python that has PyRadiomics."""
    import logging

    import SimpleITK
    from radiomics import featureextractor

    logging.getLogger("radiomics").setLevel(logging.ERROR)
    extractor = featureextractor.RadiomicsFeatureExtractor(binWidth=25)
    extractor.disableAllImageTypes()
    extractor.enableImageTypes(LoG={"sigma": [1.0, 2.0, 3.0, 4.0, 5.0]}, Wavelet={"wavelet": "coif1"})
    loaded = [SimpleITK.ReadImage(str(path)) for path in (image, mask)]
    cpu, wall = time.process_time(), time.perf_counter()
    found = extractor.execute(*loaded)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    n = sum(not name.startswith("diagnostics") for name in found)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps({"values": n, "cpu_s": cpu, "wall_s": wall, "peak_mib": peak}))


def binary():
    command = ["cargo", "bench", "--no-run", "--bench", "features", "--message-format", "json"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    built = [json.loads(line) for line in lines]
    return next(item["executable"] for item in built if item.get("target", {}).get("name") == "features")


def theirs(python, image, mask, what, threads):
    command = [python, __file__, "--peer", str(image), str(mask), what]
    environment = {**os.environ, "NUMBA_NUM_THREADS": str(threads), "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": str(threads)}
    out = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return json.loads(out.stdout.splitlines()[-1])


def scaling(name, program, image, mask, rounds):
    """Two threads of one extraction against two extractions of one thread each, side by side: how much of the machine's own
    speed-up is used."""
    shares = []
    for _ in range(rounds):
        alone = ours(program, image, mask, "all", 1)["wall_s"]
        both = ours(program, image, mask, "all", 2)["wall_s"]
        command = [program, str(image), str(mask), "1", "all"]
        environment = {**os.environ, "RAYON_NUM_THREADS": "1"}
        loops = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(2)]
        apart = max(json.loads(loop.communicate()[0])["wall_s"] for loop in loops)
        shares.append((alone / both) / (2 * alone / apart))
    print(f"{name:>5}: speed-up on two threads over that of two independent loops: {statistics.median(shares):.3f}", flush=True)


def tell(name, what, who, rows):
    median = {key: statistics.median(row[key] for row in rows) for key in ("cpu_s", "wall_s", "peak_mib")}
    print(f"{name:>5} {what:>7} {who:>11}: {rows[0]['values']:4} values, {median['cpu_s']:7.3f} s CPU, "
          f"{median['wall_s']:7.3f} s, {median['peak_mib']:6.0f} MiB", flush=True)
    return median["cpu_s"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--sizes", default=",".join(SIZES))
    parser.add_argument("--pyradiomics", metavar="PYTHON", help="the Python that has PyRadiomics")
    parser.add_argument("--binary", metavar="FILE", help="a bench that is built already")
    parser.add_argument("--scaling", action="store_true", help="also measure the speed-up on two cores")
    parser.add_argument("--peer", nargs=3, metavar=("IMAGE", "MASK", "WHAT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peer:
        image, mask, what = options.peer
        return pyradiomics(image, mask) if what == "filters" else peer(image, mask, what == "core")
    program = options.binary or binary()
    sizes = options.sizes.split(",")
    runs = [(name, what, "pictologics", sys.executable) for name in sizes for what in ("core", "all")]
    if options.pyradiomics and "365k" in sizes:
        runs.append(("365k", "filters", "pyradiomics", options.pyradiomics))
    with tempfile.TemporaryDirectory() as folder:
        made = {name: make(pathlib.Path(folder), name, SIZES[name]) for name in sizes}
        for name, what, who, python in runs:
            mine, other = [], []
            for _ in range(options.rounds):
                mine.append(ours(program, *made[name], what, options.threads))
                other.append(theirs(python, *made[name], what, options.threads))
            ratio = tell(name, what, "radiomicsd", mine) / tell(name, what, who, other)
            print(f"{name:>5} {what:>7}       ratio: {ratio:.3f}", flush=True)
        if options.scaling:
            for name in sizes:
                scaling(name, program, *made[name], options.rounds)


if __name__ == "__main__":
    main()
