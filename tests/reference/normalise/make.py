"""What SimpleITK makes of a phantom with a known bias field: pip install numpy SimpleITK; python make.py

The phantom is given by formulas alone (see `phantom`), which src/normalise/bias/tests.rs repeats. Written to reference.json:
the logarithm of the field that N4 finds, less its mean over the body, at some voxels and as its distance from the true one;
the field that it finds where there is none; and what histogram matching with nine match points makes of the biased phantom when the reference is 1.7 I + 50.
"""

import json

import numpy as np
import SimpleITK as sitk

SIZE = (48, 40, 24)


def phantom():
    z, y, x = np.mgrid[0 : SIZE[2], 0 : SIZE[1], 0 : SIZE[0]].astype(float)
    u, v, w = (x - 23.5) / 24, (y - 19.5) / 20, (z - 11.5) / 12
    radius = (u / 0.85) ** 2 + (v / 0.85) ** 2 + (w / 0.9) ** 2
    image = np.full(x.shape, 5.0)
    image[radius <= 1] = 900
    image[radius <= 0.7] = 400
    image[(u + 0.3) ** 2 + v**2 + w**2 <= 0.35**2] = 700
    image[(u - 0.35) ** 2 + (v - 0.1) ** 2 + w**2 <= 0.3**2] = 250
    body = radius <= 1
    image[body] += (12 * np.sin(1.7 * x + 0.3 * z) * np.cos(1.3 * y))[body]
    log_field = 0.35 * u + 0.25 * v * w - 0.3 * u * u + 0.2 * np.sin(2 * v)
    return image, log_field, body


def rounded(value):
    return round(float(value), 6)


def field(image, body):
    corrector = sitk.N4BiasFieldCorrectionImageFilter()
    corrector.SetMaximumNumberOfIterations([50] * 4)
    corrector.Execute(image, sitk.GetImageFromArray(body.astype(np.uint8)))
    found = sitk.GetArrayFromImage(corrector.GetLogBiasFieldAsImage(image))
    return found - found[body].mean()


def main():
    image, log_field, body = phantom()
    biased = sitk.GetImageFromArray((image * np.exp(log_field)).astype(np.float32))
    found = field(biased, body)
    nothing = field(sitk.GetImageFromArray(image.astype(np.float32)), body)
    truth = log_field - log_field[body].mean()
    places = np.argwhere(body)[:: body.sum() // 40]
    matched = sitk.HistogramMatchingImageFilter()
    matched.SetNumberOfHistogramLevels(4096)
    matched.SetNumberOfMatchPoints(9)
    matched.ThresholdAtMeanIntensityOff()
    reference = sitk.GetImageFromArray((1.7 * image + 50).astype(np.float32))
    result = sitk.GetArrayFromImage(matched.Execute(biased, reference))
    table = {
        "made_by": "SimpleITK " + sitk.Version_VersionString(),
        "n_body": int(body.sum()),
        "n4_rms_error": rounded(np.sqrt(np.mean((found - truth)[body] ** 2))),
        "n4_rms_without_field": rounded(np.sqrt(np.mean(nothing[body] ** 2))),
        "truth_rms": rounded(np.sqrt(np.mean(truth[body] ** 2))),
        "n4_log_field": [[int(i) for i in p[::-1]] + [rounded(found[tuple(p)])] for p in places],
        "matched": [[int(i) for i in p[::-1]] + [rounded(result[tuple(p)])] for p in places],
    }
    with open("reference.json", "w") as file:
        json.dump(table, file)
        file.write("\n")


if __name__ == "__main__":
    main()
