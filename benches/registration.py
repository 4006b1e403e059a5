#!/usr/bin/env python3
"""Registration accuracy on moved patients with known truth, beside other programs on the same cases in the same run.

    cargo build --release
    pip install numpy scipy pydicom SimpleITK [itk-elastix picsl-greedy niftyreg antspyx]
    python3 benches/registration.py --patients SARCOMA_FOLDER --tools CASE_TOOLS --work FOLDER
        [--moving PET] [--program target/release/radiomicsd] [--n 10] [--seed 1000]
        [--peers simpleitk,elastix,greedy,niftyreg,ants] [--chart FILE.png]

Each patient folder holds CT/image and PET/image (or MR_T1/image) as DICOM; the case tools are make_case.py, score.py and
scatter.py. Every patient is moved four times: twice `resample`, once `deform`, once `header`; 2 to 15 degrees and 5 to 30 mm; another --seed makes other motions.
Cases and other programs' answers that are there already are used again. Printed, for each program: the median and the 95th percentile over the cases
of the case's median target registration error, the cases beyond 5 mm, how many of these were not flagged, how many of the
others were, and the scatter of the native alignment that the estimates imply. The sarcoma patients' own alignment is good
to a few millimetres only: the scatter is what a program answers for, the error has that offset in it.

Where a patient's physicians drew the tumour at different places in both images (CT/mask and PET/mask, RTSTRUCT), they saw
such an offset: "as drawn" counts the cases beyond 5 mm with it taken into the truth, and those of them that were not flagged.
"""
import argparse, json, os, pathlib, subprocess, sys, time

import numpy as np

KINDS = ["resample", "deform", "resample", "header"]
FAIL_MM = 5.0
# Below this two drawings are one drawing, written on two grids.
DRAWN_APART_MM = 1.0
THREADS = 2


def make(args, patient, number, motion):
    case = args.work / f"CT-{args.moving}{f'-{args.seed}' if args.seed else ''}" / f"{patient.name}-{motion}"
    if not (case / "truth.json").exists():
        command = [sys.executable, "-W", "ignore", args.tools / "make_case.py", "--fixed", patient / "CT/image"]
        command += ["--moving", patient / args.moving / "image", "--out", case, "--kind", KINDS[motion]]
        command += ["--seed", str(args.seed + 10 * (number + 1) + motion)]
        subprocess.run(command, check=True, cwd=args.tools, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
    return case


def drawn_centre(folder):
    """The centroid of the first region of a folder's structure set: its contours by their areas; None without one."""
    import pydicom

    for path in sorted(folder.glob("*.dcm")):
        contours = pydicom.dcmread(path).ROIContourSequence[0].ContourSequence
        total, centre = 0.0, np.zeros(3)
        for contour in contours:
            points = np.array(contour.ContourData, float).reshape(-1, 3)
            here, there = points, np.roll(points, -1, axis=0)
            cross = here[:, 0] * there[:, 1] - there[:, 0] * here[:, 1]
            area = cross.sum() / 2.0
            if abs(area) > 1e-6:
                middle = ((here + there)[:, :2] * cross[:, None]).sum(0) / (6.0 * area)
                total += abs(area)
                centre += abs(area) * np.append(middle, points[0, 2])
        return centre / total
    return None


def drawn_offset(args, patient):
    """How far the drawing on the moving image lies from that on the fixed one, mm; zero where they are the same."""
    fixed, moving = (drawn_centre(patient / name / "mask") for name in ("CT", args.moving))
    offset = np.zeros(3) if fixed is None or moving is None else moving - fixed
    return offset if np.linalg.norm(offset) > DRAWN_APART_MM else np.zeros(3)


def ours(args, case):
    out = case / "radiomicsd"
    command = [args.program, "register", "--fixed", case / "fixed", "--moving", case / "moving", "--out", out]
    env = {**os.environ, "RAYON_NUM_THREADS": str(THREADS)}
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=env)
    seconds = time.perf_counter() - began
    found = json.loads((out / "registration.json").read_text())
    return np.array(found["fixed_to_moving"]), found["trusted"], seconds


def image(folder):
    import SimpleITK as sitk

    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return sitk.Cast(reader.Execute(), sitk.sitkFloat32)


def matrix(transform):
    """The 4 x 4 of an ITK matrix-offset transform."""
    m = np.eye(4)
    m[:3, :3] = np.array(transform.GetMatrix()).reshape(3, 3)
    m[:3, 3] = np.array(transform.TransformPoint((0.0, 0.0, 0.0)))
    return m


def simpleitk_rigid(fixed, moving):
    """SimpleITK's rigid registration by Mattes mutual information, set up and not run."""
    import SimpleITK as sitk

    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(50)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(0.2, 1)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(2.0, 1e-4, 200)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([4, 2, 1])
    method.SetSmoothingSigmasPerLevel([4, 2, 0])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    start = sitk.CenteredTransformInitializer(
        fixed, moving, sitk.Euler3DTransform(), sitk.CenteredTransformInitializerFilter.GEOMETRY
    )
    method.SetInitialTransform(start, inPlace=False)
    return method


def simpleitk(case):
    import SimpleITK as sitk

    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(THREADS)
    fixed, moving = image(case / "fixed"), image(case / "moving")
    method = simpleitk_rigid(fixed, moving)
    found = method.Execute(fixed, moving)
    while isinstance(found, sitk.CompositeTransform):
        found = found.GetNthTransform(0)
    return matrix(sitk.Euler3DTransform(found)), True


def elastix(case):
    import itk
    import SimpleITK as sitk

    paths = nifti(case)
    fixed, moving = (itk.imread(str(path), itk.F) for path in paths)
    parameters = itk.ParameterObject.New()
    rigid = parameters.GetDefaultParameterMap("rigid", 4)
    rigid["AutomaticTransformInitialization"] = ["true"]
    rigid["AutomaticTransformInitializationMethod"] = ["GeometricalCenter"]
    parameters.AddParameterMap(rigid)
    _, found = itk.elastix_registration_method(fixed, moving, parameter_object=parameters, number_of_threads=THREADS)
    found = found.GetParameterMap(0)
    p = [float(v) for v in found["TransformParameters"]]
    centre = [float(v) for v in found["CenterOfRotationPoint"]]
    return matrix(sitk.Euler3DTransform(centre, p[0], p[1], p[2], p[3:])), True


def greedy(case):
    out = case / "greedy.mat"
    run_greedy(*nifti(case), out)
    flip = np.diag([-1.0, -1.0, 1.0, 1.0])
    return flip @ np.loadtxt(out) @ flip, True


def run_greedy(fixed, moving, out):
    from picsl_greedy import Greedy3D

    run = f"-i {fixed} {moving} -a -dof 6 -ia-image-centers -m NMI -n 100x50x10 -threads {THREADS} -o {out}"
    Greedy3D().execute(run)


def niftyreg(case):
    out = case / "aladin.txt"
    run_niftyreg(*nifti(case), out)
    flip = np.diag([-1.0, -1.0, 1.0, 1.0])
    return flip @ np.loadtxt(out) @ flip, True


def run_niftyreg(fixed, moving, out):
    from niftyreg import bin_path

    command = [bin_path / "reg_aladin", "-ref", fixed, "-flo", moving, "-rigOnly", "-aff", out]
    command += ["-res", out.with_name("aladin.nii"), "-omp", str(THREADS)]
    subprocess.run(command, check=True, capture_output=True)


def ants(case):
    import SimpleITK as sitk

    found = run_ants(*nifti(case))[1]
    found = sitk.CompositeTransform(sitk.ReadTransform(found["fwdtransforms"][0]))
    middle = found.GetNthTransform(0)
    return matrix(sitk.AffineTransform(middle) if "Affine" in middle.GetName() else sitk.Euler3DTransform(middle)), True


def run_ants(fixed, moving):
    """Seconds of computing, and what was found."""
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = str(THREADS)
    import ants

    fixed, moving = (ants.image_read(str(path)) for path in (fixed, moving))
    began = time.perf_counter()
    found = ants.registration(fixed, moving, type_of_transform="Rigid", random_seed=1)
    return time.perf_counter() - began, found


def nifti(case):
    import SimpleITK as sitk

    paths = []
    for name in ("fixed", "moving"):
        path = case / f"{name}.nii.gz"
        if not path.exists():
            sitk.WriteImage(image(case / name), str(path))
        paths.append(path)
    return paths


PEERS = {"simpleitk": simpleitk, "elastix": elastix, "greedy": greedy, "niftyreg": niftyreg, "ants": ants}


def one(name, case):
    """Runs another program on a case and keeps what it finds, and its seconds."""
    nifti(case)
    began = time.perf_counter()
    found, _ = PEERS[name](case)
    row = {"fixed_to_moving": found.tolist(), "seconds": time.perf_counter() - began}
    (case / f"{name}.json").write_text(json.dumps(row))


def theirs(name, case):
    """What another program finds, in a process of its own; what is there already is used again."""
    path = case / f"{name}.json"
    if not path.exists():
        run = subprocess.run([sys.executable, "-W", "ignore", __file__, "--one", name, case], capture_output=True)
        if run.returncode != 0:
            print(f"{case.name} {name}: failed, taken for the identity", file=sys.stderr)
            return np.eye(4), True, float("nan")
    row = json.loads(path.read_text())
    return np.array(row["fixed_to_moving"]), True, row["seconds"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    if sys.argv[1:2] == ["--one"]:
        return one(sys.argv[2], pathlib.Path(sys.argv[3]))
    parser.add_argument("--patients", type=pathlib.Path, required=True)
    parser.add_argument("--tools", type=pathlib.Path, required=True)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--moving", default="PET")
    parser.add_argument("--program", default="target/release/radiomicsd")
    parser.add_argument("--n", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0, help="added to the seed of every case: other motions of the same patients")
    parser.add_argument("--peers", default="")
    parser.add_argument("--chart", type=pathlib.Path, help="also draw every case's error (needs matplotlib)")
    args = parser.parse_args()
    args.program = str(pathlib.Path(args.program).resolve())
    sys.path.insert(0, str(args.tools))
    sys.dont_write_bytecode = True
    import score

    patients = sorted(p for p in args.patients.iterdir() if (p / args.moving / "image").is_dir())[: args.n]
    cases = [[make(args, patient, number, motion) for motion in range(4)] for number, patient in enumerate(patients)]
    programs = ["radiomicsd", *(name for name in args.peers.split(",") if name)]
    rows = {name: [] for name in programs}
    scatters = {name: [] for name in programs}
    for patient, group in zip(patients, cases):
        offset = drawn_offset(args, patient)
        if offset.any():
            print(f"{patient.name}: drawn {np.round(offset, 1)} mm apart", file=sys.stderr)
        native = {name: [] for name in programs}
        grid = score.points(str(group[0]), 16.0)[0]
        for case in group:
            points, truth, _, _ = score.points(str(case))
            at_header, at_drawing = truth.fwd(points), truth.fwd(points + offset)
            for name in programs:
                found, trusted, seconds = ours(args, case) if name == "radiomicsd" else theirs(name, case)
                placed = score.apply(found, points)
                error = np.linalg.norm(placed - at_header, axis=1)
                as_drawn = np.linalg.norm(placed - at_drawing, axis=1)
                rows[name].append((float(np.median(error)), trusted, seconds, float(np.median(as_drawn))))
                native[name].append(truth.inv(score.apply(found, grid)))
                told = f"{case.name} {name}: {np.median(error):.2f} mm, {'trusted' if trusted else 'flagged'}, {seconds:.2f} s"
                print(told, file=sys.stderr, flush=True)
        for name, maps in native.items():
            middle = np.median(np.array(maps), 0)
            scatters[name] += [float(np.linalg.norm(m - middle, axis=1).mean()) for m in maps]
    print("| program | TRE median | TRE p95 | > 5 mm | of these unflagged | good ones flagged | as drawn > 5 mm | unflagged | scatter median | p90 | s |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for name, found in rows.items():
        tre = np.array([row[0] for row in found])
        trusted = np.array([row[1] for row in found])
        bad = tre > FAIL_MM
        bad_as_drawn = np.array([row[3] for row in found]) > FAIL_MM
        scatter = np.array(scatters[name])
        print(
            f"| {name} | {np.median(tre):.2f} | {np.percentile(tre, 95):.1f} | {bad.sum()}/{len(tre)} "
            f"| {(bad & trusted).sum()} | {(~bad & ~trusted).sum()} "
            f"| {bad_as_drawn.sum()} | {(bad_as_drawn & trusted).sum()} | {np.median(scatter):.2f} "
            f"| {np.percentile(scatter, 90):.2f} | {np.nanmedian([row[2] for row in found]):.2f} |"
        )
    if args.chart:
        chart(args.chart, rows)


def chart(path, rows):
    """One column per program, one point per case; flagged ones are hollow."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 4.2), dpi=110, layout="constrained")
    for column, (name, found) in enumerate(rows.items()):
        error = np.array([row[0] for row in found])
        trusted = np.array([row[1] for row in found])
        place = column + np.random.default_rng(1).uniform(-0.28, 0.28, len(error))
        colour = "#0b6e4f" if name == "radiomicsd" else "#7a7f87"
        axes.scatter(place[trusted], error[trusted], s=22, color=colour, alpha=0.75, linewidths=0)
        axes.scatter(place[~trusted], error[~trusted], s=24, facecolors="none", edgecolors=colour)
        axes.hlines(np.median(error), column - 0.36, column + 0.36, color=colour, linewidth=2)
    axes.axhline(FAIL_MM, color="#b3261e", linewidth=1, linestyle="--")
    axes.set_xlim(-0.9, len(rows) - 0.4)
    axes.text(-0.86, FAIL_MM * 1.05, "5 mm", color="#b3261e", va="bottom", fontsize=9)
    axes.set_yscale("log")
    axes.set_yticks([1, 2, 5, 10, 20, 50, 100], ["1", "2", "5", "10", "20", "50", "100"])
    axes.set_xticks(range(len(rows)), rows)
    axes.set_ylabel("median error of a case, mm")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)


if __name__ == "__main__":
    main()
