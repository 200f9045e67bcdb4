"""Flatiron against JAX over hidden width, batch size and depth: samples a second, as a table and a plot.

    python sweep.py --data-dir DIR --out docs/sweep.md [--points lines|grid] [--seconds-per-point 2]

Every point trains 784-...-10 with W2's data and optimizer on the first n samples, n chosen so that an epoch
is neither a moment nor an hour; both sides read the same truncated files. A measurement ends when its time
is up, but not before three epochs; its first epoch is left out.
Points already in the raw file (beside --out) are not measured again: delete it to start afresh.
"""

import argparse
import datetime
import json
import os
import pathlib
import statistics
import sys
import tempfile

import numpy as np

import measure
import peer
from measure import HERE, ROOT

WIDTHS = [32, 64, 128, 256, 512, 1024, 2048, 4096]
BATCHES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192]
DEPTHS = [1, 2, 3, 4, 5]
CENTRE = {"width": 512, "batch": 128, "depth": 1}
AXES = {"width": WIDTHS, "batch": BATCHES, "depth": DEPTHS}
TITLES = {"width": "hidden width", "batch": "batch size", "depth": "hidden layers"}
GRID = {"width": [32, 128, 512, 2048, 4096], "batch": [1, 8, 32, 128, 1024, 8192], "depth": [1, 3, 5]}


def points(kind):
    """The points, each a dict of width, batch and depth; a line varies one and keeps W2's others."""
    if kind == "lines":
        found = [{**CENTRE, axis: value} for axis, values in AXES.items() for value in values]
    else:
        found = [{"width": w, "batch": b, "depth": d} for d in GRID["depth"] for w in GRID["width"] for b in GRID["batch"]]
    return [point for i, point in enumerate(found) if point not in found[:i]]


def flops_a_sample(point):
    """Multiplications and additions of forward, weight gradient, and input gradient but for the first layer."""
    widths = [784, *[point["width"]] * point["depth"], 10]
    return sum((4 if layer == 0 else 6) * i * o for layer, (i, o) in enumerate(zip(widths, widths[1:])))


def samples(point, seconds, gflops):
    """How many samples make an epoch of about a third of `seconds` at `gflops`, in whole batches."""
    # Below 16 a step is bound by the update of the weights, which costs as much as about 16 samples' products.
    steps = seconds / 3 * gflops * 1e9 / (flops_a_sample(point) * max(point["batch"], 16))
    return max(1, min(int(steps), 60000 // point["batch"])) * point["batch"]


def write_idx(path, array):
    """A u8 array as IDX."""
    header = bytes([0, 0, 8, array.ndim]) + np.asarray(array.shape, ">i4").tobytes()
    path.write_bytes(header + array.tobytes())


def truncated(data_dir, folder, n):
    """MNIST with n training samples, and a few for the test, in `folder`/mnist."""
    target = folder / str(n) / "mnist"
    if not target.exists():
        target.mkdir(parents=True)
        train_x, train_y, test_x, test_y = peer.load(data_dir, "mnist")
        for part, x, y, count in [("train", train_x, train_y, n), ("t10k", test_x, test_y, 1000)]:
            write_idx(target / f"{part}-images-idx3-ubyte", x[:count].reshape(-1, 28, 28))
            write_idx(target / f"{part}-labels-idx1-ubyte", y[:count])
    return target.parent


def command(who, given, point, data_dir):
    """One peer's command for a point; it would run for very many epochs."""
    hidden = [point["width"]] * point["depth"]
    if who == "JAX":
        flags = ["--workload", "W2", "--data-dir", data_dir, "--epochs", 1000000, "--batch", point["batch"]]
        return [sys.executable, HERE / "jax_peer.py", *flags, "--hidden", *hidden]
    return [
        given.flatiron, "train", "mnist", "--data-dir", data_dir, "--hidden", ",".join(map(str, hidden)),
        "--optimizer", "rmsprop", "--batch-size", point["batch"], "--epochs", 1000000, "--json",
    ]


def measure_point(given, point, folder):
    """Samples a second of both sides, one number a round, taken in turns."""
    n = samples(point, given.seconds_per_point, given.gflops)
    data_dir = truncated(given.data_dir, folder, n)
    found = {"Flatiron": [], "JAX": []}
    for r in range(given.rounds):
        for who in sorted(found, reverse=r % 2 == 1):
            if given.quiet:
                measure.wait_until_quiet(given.quiet)
            lines, _, _ = measure.run(command(who, given, point, data_dir), stop_after=given.seconds_per_point)
            epochs = [line["seconds"] for line in lines if "epoch" in line]
            found[who].append(n / statistics.median(epochs[1:] or epochs))
    return {**point, "samples": n, **found}


def row(point):
    own, jax = statistics.median(point["Flatiron"]), statistics.median(point["JAX"])
    return own, jax, own * flops_a_sample(point) / 1e9


def table(measured, peak):
    """All points as Markdown."""
    share = " % of peak |" if peak else ""
    lines = [
        f"| hidden layers | width | batch | Flatiron, samples/s | JAX, samples/s | ratio | Flatiron, GFLOP/s |{share}",
        "|---|---|---|---|---|---|---|" + ("---|" if peak else ""),
    ]
    for point in measured:
        own, jax, gflops = row(point)
        lines.append(
            f"| {point['depth']} | {point['width']:,} | {point['batch']:,} | {own:,.0f} | {jax:,.0f} | {own / jax:.2f} "
            f"| {gflops:,.0f} |" + (f" {100 * gflops / peak:.0f} |" if peak else "")
        )
    return lines


def plot(measured, path):
    """Three panels, one an axis; each has the points that keep W2's other two values."""
    import matplotlib

    matplotlib.use("svg")
    # Text as text, and the same file for the same numbers.
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "sweep", "font.family": "sans-serif"})
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 3, figsize=(13, 4.2))
    for panel, axis in zip(panels, AXES):
        line = [p for p in measured if all(p[other] == CENTRE[other] for other in CENTRE if other != axis)]
        line.sort(key=lambda point: point[axis])
        x = [point[axis] for point in line]
        panel.plot(x, [row(point)[0] for point in line], "o-", color="#b7410e", label="Flatiron")
        panel.plot(x, [row(point)[1] for point in line], "s--", color="#4a6fa5", label="JAX")
        panel.set_yscale("log")
        if axis != "depth":
            panel.set_xscale("log", base=2)
        panel.set_xticks(x, [str(value) for value in x], rotation=0 if axis == "depth" else 60)
        panel.minorticks_off() if axis != "depth" else None
        panel.set_xlabel(TITLES[axis])
        panel.grid(True, which="major", alpha=0.3)
        fixed = ", ".join(f"{TITLES[other]} {CENTRE[other]}" for other in CENTRE if other != axis)
        panel.set_title(fixed, fontsize=9)
    panels[0].set_ylabel("samples a second")
    panels[0].legend(frameon=False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def report(given, measured):
    slower = [point for point in measured if row(point)[0] < row(point)[1]]
    ratios = [row(point)[0] / row(point)[1] for point in measured]
    middle = statistics.geometric_mean(ratios)
    versions = measure.output(sys.executable, "-c", "import jax; print('JAX', jax.__version__)")
    text = [
        "# Flatiron against JAX over width, batch and depth",
        "",
        f"{datetime.date.today()}, {measure.machine()}. Flatiron {measure.commit()}, {versions}.",
        f"`python benches/peers/sweep.py --points {given.points} --rounds {given.rounds} "
        f"--seconds-per-point {given.seconds_per_point:g}`",
        "",
        "MNIST's first samples, RMSprop, 784 inputs, 10 outputs, all hidden layers of the same width. "
        "Samples a second: median over the rounds of each run's median epoch. "
        f"Of {len(measured)} points, Flatiron is slower at {len(slower)}; ratio {min(ratios):.2f} to {max(ratios):.2f}, "
        f"geometric mean {middle:.2f}. More than 100 % of peak is possible: multiplications by zero are counted, "
        "and skipped.",
        "",
        f"![samples a second over width, batch and depth]({given.out.with_suffix('.svg').name})",
        "",
        *table(measured, given.peak_gflops),
        "",
    ]
    given.out.write_text("\n".join(text))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=pathlib.Path, required=True, help="folder with mnist/")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="the Markdown file; the plot and the raw file go beside it")
    parser.add_argument("--flatiron", type=pathlib.Path, default=ROOT / "target/release/trainer")
    parser.add_argument("--points", choices=["lines", "grid"], default="lines")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seconds-per-point", type=float, default=2.0, help="training time of one run of one side")
    parser.add_argument("--at-most", type=int, help="measure so many new points, then write what there is")
    parser.add_argument("--gflops", type=float, default=100.0, help="expected speed, to choose the number of samples")
    parser.add_argument("--peak-gflops", type=float, help="the machine's peak, as `trainer roofline` measures it")
    parser.add_argument("--quiet", type=float, default=0.3, help="wait until so few cores are busy; 0: do not wait")
    given = parser.parse_args()
    given.data_dir, given.flatiron = given.data_dir.resolve(), given.flatiron.resolve()

    raw = given.out.with_suffix(".jsonl")
    measured = [json.loads(line) for line in raw.read_text().splitlines()] if raw.exists() else []
    done = [{axis: point[axis] for axis in AXES} for point in measured]
    left = [point for point in points(given.points) if point not in done][: given.at_most]
    with tempfile.TemporaryDirectory(prefix="sweep-") as folder, raw.open("a") as kept:
        for point in left:
            try:
                measured.append(measure_point(given, point, pathlib.Path(folder)))
            except measure.Failed as error:
                print(f"{point}: {error}", file=sys.stderr)
                continue
            print(json.dumps(measured[-1]), file=kept, flush=True)
            own, jax, gflops = row(measured[-1])
            print(f"{point}: {own:,.0f} against {jax:,.0f} samples/s, {own / jax:.2f}, {gflops:,.0f} GFLOP/s", file=sys.stderr)
    if not measured:
        sys.exit("no point was measured")
    measured.sort(key=lambda point: (point["depth"], point["width"], point["batch"]))
    report(given, measured)
    plot(measured, given.out.with_suffix(".svg"))


if __name__ == "__main__":
    main()
