"""What the Python peers share: the data, the two workloads, and the lines they print.

Every peer prints one JSON object a line: one an epoch, and a last one with the result.
`seconds` of an epoch covers the shuffle, the gathering of batches and every step, the last partial batch too;
not the loading of the data, not compilation before the first epoch (which shows in that epoch, or in the
whole process's time, both of which are kept).
"""

import argparse
import gzip
import json
import pathlib
import statistics
import time

import numpy as np

from workloads import BETA_1, BETA_2, EPSILON, LEARNING_RATE, RHO, WORKLOADS  # noqa: F401


def arguments(description, **extra):
    """The flags every peer has: --workload, --data-dir, --epochs, --seed; `extra` adds others."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--workload", choices=WORKLOADS, required=True)
    parser.add_argument("--data-dir", type=pathlib.Path, required=True, help="folder with mnist/ and fashion-mnist/")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    for name, settings in extra.items():
        parser.add_argument("--" + name.replace("_", "-"), **settings)
    return parser.parse_args()


def idx(folder, name):
    """A u8 array from an IDX file, gzipped or not."""
    plain = folder / name
    raw = plain.read_bytes() if plain.exists() else gzip.decompress((folder / (name + ".gz")).read_bytes())
    dimensions = raw[3]
    shape = np.frombuffer(raw, ">i4", dimensions, 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def load(data_dir, name):
    """(train images [60000, 784] u8, train labels, test images [10000, 784], test labels)."""
    folder = data_dir / name
    found = []
    for part in ["train", "t10k"]:
        images = idx(folder, f"{part}-images-idx3-ubyte")
        found += [images.reshape(len(images), -1), idx(folder, f"{part}-labels-idx1-ubyte")]
    return found


class Report:
    """Prints the lines of one peer's run."""

    def __init__(self, framework, version, setting, workload, threads=None):
        self.head = {"framework": framework, "version": version, "setting": setting, "workload": workload}
        self.threads = threads
        self.seconds = []

    def epoch(self, started, loss):
        """An epoch that began at `started` (time.perf_counter) has just ended."""
        seconds = time.perf_counter() - started
        self.seconds.append(seconds)
        line = {**self.head, "epoch": len(self.seconds), "seconds": round(seconds, 6), "loss": float(loss)}
        print(json.dumps(line), flush=True)

    def result(self, test_accuracy):
        """The last line. The first epoch, which compiles and warms up, is left out of the median."""
        steady = self.seconds[1:] or self.seconds
        line = {
            **self.head,
            "seconds_per_epoch": round(statistics.median(steady), 6),
            "first_epoch_seconds": round(self.seconds[0], 6),
            "epochs": len(self.seconds),
            "test_accuracy": float(test_accuracy),
            "threads": self.threads,
        }
        print(json.dumps(line), flush=True)
