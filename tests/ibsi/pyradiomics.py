#!/usr/bin/env python3
"""Holds the preset `pyradiomics-default` against PyRadiomics itself, value by value.

    pip install pyradiomics
    cargo build --release && python3 tests/ibsi/pyradiomics.py IMAGE MASK [--program target/release/radiomicsd]

Image and mask are NIfTI. Every first-order and texture feature that both have must agree within 1e-9 of its value:
PyRadiomics adds 2e-16 inside its logarithms, which the information correlations feel. Shapes are printed only: the mesh and
the principal axes stay those of the IBSI.
"""

import argparse
import csv
import logging
import os
import subprocess
import sys
import tempfile

TOLERANCE = 1e-9

FIRST_ORDER = {
    "10Percentile": "stat_p10", "90Percentile": "stat_p90", "Energy": "stat_energy", "InterquartileRange": "stat_iqr",
    "Kurtosis": "stat_kurt", "Maximum": "stat_max", "MeanAbsoluteDeviation": "stat_mad", "Mean": "stat_mean",
    "Median": "stat_median", "Minimum": "stat_min", "Range": "stat_range",
    "RobustMeanAbsoluteDeviation": "stat_rmad", "RootMeanSquared": "stat_rms", "Skewness": "stat_skew",
    "Variance": "stat_var", "Entropy": "ih_entropy", "Uniformity": "ih_uniformity",
}  # fmt: skip
GLCM = {
    "Autocorrelation": "auto_corr", "ClusterProminence": "clust_prom", "ClusterShade": "clust_shade",
    "ClusterTendency": "clust_tend", "Contrast": "contrast", "Correlation": "corr", "DifferenceAverage": "diff_avg",
    "DifferenceEntropy": "diff_entr", "DifferenceVariance": "diff_var", "Id": "inv_diff", "Idm": "inv_diff_mom",
    "Idmn": "inv_diff_mom_norm", "Idn": "inv_diff_norm", "Imc1": "info_corr1", "Imc2": "info_corr2",
    "InverseVariance": "inv_var", "JointAverage": "joint_avg", "JointEnergy": "energy", "JointEntropy": "joint_entr",
    "MaximumProbability": "joint_max", "SumAverage": "sum_avg", "SumEntropy": "sum_entr", "SumSquares": "joint_var",
}  # fmt: skip
RUNS = {
    "GrayLevelNonUniformity": "glnu", "GrayLevelNonUniformityNormalized": "glnu_norm", "GrayLevelVariance": "gl_var",
    "HighGrayLevelRunEmphasis": "hgre", "LongRunEmphasis": "lre", "LongRunHighGrayLevelEmphasis": "lrhge",
    "LongRunLowGrayLevelEmphasis": "lrlge", "LowGrayLevelRunEmphasis": "lgre", "RunEntropy": "rl_entr",
    "RunLengthNonUniformity": "rlnu", "RunLengthNonUniformityNormalized": "rlnu_norm", "RunPercentage": "r_perc",
    "RunVariance": "rl_var", "ShortRunEmphasis": "sre", "ShortRunHighGrayLevelEmphasis": "srhge",
    "ShortRunLowGrayLevelEmphasis": "srlge",
}  # fmt: skip
ZONES = {
    "GrayLevelNonUniformity": "glnu", "GrayLevelNonUniformityNormalized": "glnu_norm", "GrayLevelVariance": "gl_var",
    "HighGrayLevelZoneEmphasis": "hgze", "LargeAreaEmphasis": "lze", "LargeAreaHighGrayLevelEmphasis": "lzhge",
    "LargeAreaLowGrayLevelEmphasis": "lzlge", "LowGrayLevelZoneEmphasis": "lgze", "SizeZoneNonUniformity": "zsnu",
    "SizeZoneNonUniformityNormalized": "zsnu_norm", "SmallAreaEmphasis": "sze",
    "SmallAreaHighGrayLevelEmphasis": "szhge", "SmallAreaLowGrayLevelEmphasis": "szlge", "ZoneEntropy": "zs_entr",
    "ZonePercentage": "z_perc", "ZoneVariance": "zs_var",
}  # fmt: skip
DEPENDENCE = {
    "DependenceEntropy": "dc_entr", "DependenceNonUniformity": "dcnu", "DependenceNonUniformityNormalized": "dcnu_norm",
    "DependenceVariance": "dc_var", "GrayLevelNonUniformity": "glnu", "GrayLevelVariance": "gl_var",
    "HighGrayLevelEmphasis": "hgce", "LargeDependenceEmphasis": "hde", "LargeDependenceHighGrayLevelEmphasis": "hdhge",
    "LargeDependenceLowGrayLevelEmphasis": "hdlge", "LowGrayLevelEmphasis": "lgce", "SmallDependenceEmphasis": "lde",
    "SmallDependenceHighGrayLevelEmphasis": "ldhge", "SmallDependenceLowGrayLevelEmphasis": "ldlge",
}  # fmt: skip
TONES = {name.capitalize(): name for name in ("busyness", "coarseness", "complexity", "contrast", "strength")}
# PyRadiomics' class: our names for its features, and what stands around them in our tags.
CLASSES = {
    "firstorder": (FIRST_ORDER, "", ""), "glcm": (GLCM, "cm_", "_3D_avg"), "glrlm": (RUNS, "rlm_", "_3D_avg"),
    "glszm": (ZONES, "szm_", "_3D"), "gldm": (DEPENDENCE, "ngl_", "_3D"), "ngtdm": (TONES, "ngt_", "_3D"),
}  # fmt: skip
SHAPES = {
    "MeshVolume": "morph_volume", "SurfaceArea": "morph_area_mesh", "VoxelVolume": "morph_vol_approx",
    "MajorAxisLength": "morph_pca_maj_axis", "MinorAxisLength": "morph_pca_min_axis",
    "LeastAxisLength": "morph_pca_least_axis", "Maximum3DDiameter": "morph_diam", "Sphericity": "morph_sphericity",
}  # fmt: skip


def ours(program, image, mask):
    with tempfile.TemporaryDirectory() as folder:
        settings = os.path.join(folder, "settings.toml")
        with open(settings, "w") as file:
            file.write('preset = "pyradiomics-default"\n')
        command = [program, "features", "--image", image, "--roi", mask, "--settings", settings]
        out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {row["tag"]: float(row["value"]) for row in csv.DictReader(out.splitlines())}


def theirs(image, mask):
    from radiomics import featureextractor

    logging.getLogger("radiomics").setLevel(logging.ERROR)
    found = featureextractor.RadiomicsFeatureExtractor().execute(image, mask)
    return {name.removeprefix("original_"): float(value) for name, value in found.items() if name.startswith("original_")}


def difference(mine, other):
    return abs(mine - other) / max(abs(other), 1e-300)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("image")
    parser.add_argument("mask")
    parser.add_argument("--program", default="target/release/radiomicsd")
    arguments = parser.parse_args()
    mine, other = ours(arguments.program, arguments.image, arguments.mask), theirs(arguments.image, arguments.mask)
    n_wrong = 0
    for class_, (names, before, after) in CLASSES.items():
        apart = {name: difference(mine[f"{before}{tag}{after}"], other[f"{class_}_{name}"]) for name, tag in names.items()}
        wrong = [name for name, difference in apart.items() if not difference <= TOLERANCE]
        n_wrong += len(wrong)
        print(f"{class_:>10}: {len(apart):2} features, at most {max(apart.values()):.1e} apart", *wrong)
    for name, tag in SHAPES.items():
        print(f"     shape: {name} {difference(mine[tag], other[f'shape_{name}']):.1e} apart")
    return 1 if n_wrong else 0


if __name__ == "__main__":
    sys.exit(main())
