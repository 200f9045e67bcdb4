"""The two workloads, and their files made ready. Without NumPy, so that run.py's own process stays small.

(A child's peak memory, as the kernel reports it, is never less than its parent's was when it started it.)
"""

import gzip
import shutil

WORKLOADS = {
    "W1": {"data": "fashion-mnist", "hidden": [128], "optimizer": "adam", "batch": 32},
    "W2": {"data": "mnist", "hidden": [512], "optimizer": "rmsprop", "batch": 128},
}
LEARNING_RATE = 1e-3
EPSILON = 1e-7
RHO = 0.9
BETA_1, BETA_2 = 0.9, 0.999


def inflate(data_dir, target):
    """Raw IDX files of both data sets under `target`, so that nobody's time includes gunzip."""
    for work in WORKLOADS.values():
        folder = target / work["data"]
        folder.mkdir(parents=True)
        for part in ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]:
            plain = data_dir / work["data"] / part
            source = plain.open("rb") if plain.exists() else gzip.open(plain.with_name(part + ".gz"))
            with source, (folder / part).open("wb") as raw:
                # In pieces that large Linux keeps them in large pages.
                shutil.copyfileobj(source, raw, 16 << 20)
    return target
