#!/usr/bin/env python3
"""Registration and resampling side by side with other programs: seconds of computing, files not counted, two threads.

    cargo bench --bench registration --no-run
    pip install numpy scipy SimpleITK [itk-elastix picsl-greedy niftyreg antspyx]
    python3 benches/registration_speed.py --bench target/release/deps/registration-* --work FOLDER
        [--fixed CT_FOLDER --moving PET_FOLDER] [--peers simpleitk,elastix,greedy,niftyreg,ants]

The 256^3 pair is a phantom of two contrasts at one millimetre, turned by 8 degrees and shifted by 15 mm; with --fixed and
--moving (DICOM folders) a patient's pair is timed too. Ours runs with the second estimator and without the bootstrap.
"""
import argparse, json, os, pathlib, subprocess, sys, time

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from registration import THREADS, run_ants, run_greedy, run_niftyreg, simpleitk_rigid


def phantom(work):
    paths = [work / f"{name}_256.nii" for name in ("fixed", "moving")]
    if all(path.exists() for path in paths):
        return paths
    rng = np.random.default_rng(1)
    n = 256
    texture = ndimage.gaussian_filter(rng.normal(size=(n, n, n)).astype(np.float32), 6)
    texture = (texture - texture.min()) / np.ptp(texture)
    z, y, x = np.meshgrid(*[np.arange(n) - (n - 1) / 2] * 3, indexing="ij")
    body = 1 / (1 + np.exp(1.5 * (np.sqrt((x / 1.1) ** 2 + (y / 0.8) ** 2 + (z + 3) ** 2) - 90)))
    anatomy = body * (0.4 + 0.6 * texture)
    fixed = (-1000 + 1900 * anatomy).astype(np.float32)
    moving = (4 * anatomy * (1.4 - anatomy)).astype(np.float32)
    angle = np.deg2rad(8)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    middle = np.full(3, (n - 1) / 2)
    moving = ndimage.affine_transform(moving, turn, middle - turn @ middle + [9, -8, 9], order=1, mode="nearest")
    moving = ndimage.gaussian_filter(moving, 2)
    for path, image in zip(paths, (fixed, moving)):
        sitk.WriteImage(sitk.GetImageFromArray(image), str(path))
    return paths


def patient(work, fixed, moving):
    paths = []
    for name, folder in (("fixed", fixed), ("moving", moving)):
        reader = sitk.ImageSeriesReader()
        reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
        path = work / f"{name}_patient.nii"
        sitk.WriteImage(sitk.Cast(reader.Execute(), sitk.sitkFloat32), str(path))
        paths.append(path)
    return paths


def ours(bench, paths, kind):
    command = [bench, "register", *map(str, paths), "CT", "PT", kind]
    out = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, "RAYON_NUM_THREADS": str(THREADS)})
    found = json.loads(out.stdout)
    return found["seconds"], found["peak_mb"]


def simpleitk(paths, _):
    fixed, moving = (sitk.ReadImage(str(path), sitk.sitkFloat32) for path in paths)
    began = time.perf_counter()
    method = simpleitk_rigid(fixed, moving)
    method.Execute(fixed, moving)
    return time.perf_counter() - began


def elastix(paths, kind):
    import itk

    fixed, moving = (itk.imread(str(path), itk.F) for path in paths)
    began = time.perf_counter()
    parameters = itk.ParameterObject.New()
    rigid = parameters.GetDefaultParameterMap("rigid", 4)
    rigid["AutomaticTransformInitialization"] = ["true"]
    parameters.AddParameterMap(rigid)
    if kind == "bspline":
        parameters.AddParameterMap(parameters.GetDefaultParameterMap("bspline", 4, 15.0))
    itk.elastix_registration_method(fixed, moving, parameter_object=parameters, number_of_threads=THREADS)
    return time.perf_counter() - began


def greedy(paths, kind):
    if kind != "rigid":
        return None
    began = time.perf_counter()
    run_greedy(*paths, paths[0].with_name("greedy.mat"))
    return time.perf_counter() - began


def niftyreg(paths, kind):
    if kind != "rigid":
        return None
    began = time.perf_counter()
    run_niftyreg(*paths, paths[0].with_suffix(".txt"))
    return time.perf_counter() - began


def ants(paths, kind):
    return run_ants(*paths)[0] if kind == "rigid" else None


def resampling(bench):
    out = subprocess.run([bench, "resample"], check=True, capture_output=True, text=True, env={**os.environ, "RAYON_NUM_THREADS": str(THREADS)})
    own = {row["what"]: row["seconds"] for row in map(json.loads, out.stdout.splitlines())}
    rng = np.random.default_rng(1)
    image = sitk.GetImageFromArray(rng.normal(size=(300, 512, 512)).astype(np.float32))
    image.SetSpacing((0.977, 0.977, 1.5))
    turn = sitk.Euler3DTransform()
    turn.SetCenter(image.TransformContinuousIndexToPhysicalPoint([255.5, 255.5, 149.5]))
    turn.SetRotation(0.1, 0.1, 0.1)
    peer = {}
    for name, kind in (("linear", sitk.sitkLinear), ("cubic", sitk.sitkBSpline)):
        began = time.perf_counter()
        sitk.Resample(image, (500, 500, 450), turn, kind, (0, 0, 0), (1, 1, 1), image.GetDirection(), -1024.0)
        peer[name] = time.perf_counter() - began
    began = time.perf_counter()
    sitk.DiscreteGaussian(image, [6.25] * 3, 64, 0.001, True)
    peer["gaussian"] = time.perf_counter() - began
    for name in own:
        print(f"| {name}, 512 x 512 x 300 | {own[name]:.2f} | SimpleITK {peer[name]:.2f} |")


PEERS = {"simpleitk": simpleitk, "elastix": elastix, "greedy": greedy, "niftyreg": niftyreg, "ants": ants}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    if sys.argv[1:2] == ["--one"]:
        peer, kind, *paths = sys.argv[2:]
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(THREADS)
        print("seconds", PEERS[peer]([pathlib.Path(path) for path in paths], kind))
        return
    parser.add_argument("--bench", required=True)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--fixed", type=pathlib.Path)
    parser.add_argument("--moving", type=pathlib.Path)
    parser.add_argument("--peers", default="simpleitk")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(THREADS)
    peers = [name for name in args.peers.split(",") if name]
    pairs = [("256^3 rigid", phantom(args.work), "rigid"), ("256^3 rigid + B-spline", phantom(args.work), "bspline")]
    if args.fixed and args.moving:
        pairs.insert(0, ("patient rigid", patient(args.work, args.fixed, args.moving), "rigid"))
    print("| what | ours, s | others, s |\n|---|---|---|")
    for name, paths, kind in pairs:
        seconds, peak = ours(args.bench, paths, kind)
        others = []
        for peer in peers:
            if kind == "bspline" and peer != "elastix":
                continue
            # In a process of its own: their libraries do not bear each other.
            command = [sys.executable, "-W", "ignore", __file__, "--one", peer, kind, *map(str, paths)]
            run = subprocess.run(command, capture_output=True, text=True)
            taken = [line for line in run.stdout.splitlines() if line.startswith("seconds ")]
            others.append(f"{peer} {float(taken[-1].split()[1]):.2f}" if taken else f"{peer} failed")
        print(f"| {name} | {seconds:.2f} ({peak:.0f} MB) | {', '.join(others)} |", flush=True)
    resampling(args.bench)


if __name__ == "__main__":
    main()
