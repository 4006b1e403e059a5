"""Runs the program's ComBat and pip's neuroCombat side by side on 500 features x 10 000 samples x 40 batches.

    pip install neuroCombat numpy pandas
    python benches/combat_speed.py

Both fit and apply in memory; reading tables is not part of either. The rounds alternate, so that both see the same
machine. neuroCombat 0.2.12 names `np.int`, which newer numpy does not have: it is given back here.
"""

import contextlib
import io
import re
import statistics
import subprocess
import sys
import time

import numpy as np

np.int = int
import pandas as pd  # noqa: E402
from neuroCombat import neuroCombat  # noqa: E402

N_FEATURES, N_SAMPLES, N_BATCHES, ROUNDS = 500, 10_000, 40, 5


def ours():
    command = ["cargo", "bench", "--quiet", "--bench", "combat_speed", "--", "1"]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(re.match(r"([0-9.]+) s", out).group(1))


def theirs(data, covariates):
    begun = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        neuroCombat(data, covariates, "batch", categorical_cols=["sex"], continuous_cols=["age"])
    return time.perf_counter() - begun


def main():
    rng = np.random.default_rng(1)
    batch = rng.integers(0, N_BATCHES, N_SAMPLES)
    shifts = rng.normal(size=(N_FEATURES, N_BATCHES))
    data = 10 + shifts[:, batch] + rng.normal(size=(N_FEATURES, N_SAMPLES))
    covariates = pd.DataFrame(
        {"batch": batch, "age": rng.normal(60, 10, N_SAMPLES), "sex": rng.integers(0, 2, N_SAMPLES)}
    )
    ours()  # builds, and warms the caches
    times = [(ours(), theirs(data, covariates)) for _ in range(ROUNDS)]
    mine, other = (statistics.median(column) for column in zip(*times))
    print(f"radiomicsd {mine:.3f} s, neuroCombat {other:.3f} s: {other / mine:.1f} times as fast")
    return 0 if other >= 10 * mine else 1


if __name__ == "__main__":
    sys.exit(main())
