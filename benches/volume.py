"""Builds a 512 x 512 x 600 CT with the program and with SimpleITK's series reader, in turns.

    pip install SimpleITK
    python benches/volume.py [--patient FOLDER]

FOLDER holds the series of one patient in CT/image, PET/image and MR_T1/image: their volumes and the SUV are timed as well.
Both read from the file cache; SimpleITK's time includes finding the series' files and casting to float32, as ours does.
"""

import argparse
import pathlib
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = 5
THEIRS = "--theirs"


def bench(*arguments):
    command = ["cargo", "bench", "--quiet", "--bench", "volume", "--", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def ours(*folders):
    found = re.match(r"([0-9.]+) s, ([0-9.-]+) MiB", bench("read", *folders))
    return float(found.group(1)), float(found.group(2))


def theirs(folder):
    out = subprocess.run([sys.executable, __file__, THEIRS, folder], check=True, capture_output=True, text=True).stdout
    seconds, mebibytes = out.split()
    return float(seconds), float(mebibytes)


def read_with_simpleitk(folder):
    import SimpleITK as sitk

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun = time.perf_counter()
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(folder))
    reader.SetOutputPixelType(sitk.sitkFloat32)
    reader.Execute()
    seconds = time.perf_counter() - begun
    print(seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)


def line(name, rounds):
    seconds = statistics.median(round[0] for round in rounds)
    mebibytes = statistics.median(round[1] for round in rounds)
    print(f"{name:<12} {seconds:7.3f} s {mebibytes:8.0f} MiB")
    return seconds


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--patient", type=pathlib.Path)
    patient = parser.parse_args().patient
    with tempfile.TemporaryDirectory() as folder:
        bench("make", folder)
        ours(folder), theirs(folder)  # the file cache
        pairs = [(ours(folder), theirs(folder)) for _ in range(ROUNDS)]
    own = line("radiomicsd", [pair[0] for pair in pairs])
    other = line("SimpleITK", [pair[1] for pair in pairs])
    print(f"{other / own:.1f} times as fast")
    if patient:
        folders = [patient / role / "image" for role in ("CT", "PET", "MR_T1")]
        ours(*folders)
        line("one patient", [ours(*folders) for _ in range(ROUNDS)])


if __name__ == "__main__":
    if THEIRS in sys.argv:
        read_with_simpleitk(sys.argv[-1])
    else:
        main()
