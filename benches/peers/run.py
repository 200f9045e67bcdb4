"""Runs every installed peer beside Flatiron, interleaved, and writes a Markdown table.

    python run.py --data-dir DIR [--rounds 5] [--out FILE.md]

Each round runs every entry once as a process of its own, in an order that turns with the round, with the
round's number as its seed. All read raw IDX files, inflated beforehand into a temporary folder. Python peers run in the interpreter that runs this script; see docs/measuring.md.
"""

import argparse
import datetime
import importlib.util
import json
import mmap
import os
import pathlib
import shlex
import statistics
import sys
import tempfile
import time

import measure
from measure import HERE, ROOT
from workloads import WORKLOADS, inflate

CORES = len(os.sched_getaffinity(0))
SAMPLES = 60000


class Entry:
    """One row of the table."""

    def __init__(self, name, command, needs=None, environment=None):
        self.name = name
        self.command = command
        self.needs = needs
        self.environment = environment or {}

    def missing(self):
        """Why it cannot run, or None."""
        if self.needs is None or isinstance(self.needs, str) and importlib.util.find_spec(self.needs):
            return None
        if isinstance(self.needs, pathlib.Path) and self.needs.exists():
            return None
        return f"{self.needs} not found"


def threads(n):
    """Limits every pool that a peer may own."""
    names = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"]
    return {name: str(n) for name in names}


def flatiron(given, workload, epochs, seed):
    """The command of Flatiron's own run."""
    work = WORKLOADS[workload]
    return [
        given.flatiron, "train", work["data"], "--data-dir", given.data_dir,
        "--hidden", ",".join(map(str, work["hidden"])), "--optimizer", work["optimizer"],
        "--batch-size", work["batch"], "--epochs", epochs, "--seed", seed, "--json",
    ]


def entries(given, workload, seed):
    """All rows of a workload; the best setting of each framework is among them."""
    common = ["--workload", workload, "--data-dir", given.data_dir, "--epochs", given.epochs, "--seed", seed]

    def python(script, *flags):
        return [sys.executable, HERE / script, *common, *flags]

    def rust(name):
        target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE / name / "target"))
        return target / "release" / f"peer-{name}"

    rows = [
        Entry("Flatiron", flatiron(given, workload, given.epochs, seed), given.flatiron),
        Entry("JAX", python("jax_peer.py"), "jax"),
        Entry("Keras (TensorFlow)", python("keras_peer.py", "--backend", "tensorflow"), "tensorflow"),
        Entry("Keras (JAX)", python("keras_peer.py", "--backend", "jax"), "jax"),
    ]
    for n in sorted({1, CORES}):
        plural = f"{n} thread" + "s" * (n > 1)
        for mode in ["eager", "compiled"]:
            command = python("torch_peer.py", "--mode", mode, "--threads", n)
            rows.append(Entry(f"PyTorch {mode}, {plural}", command, "torch", threads(n)))
        rows.append(Entry(f"candle, {plural}", [rust("candle"), *common], rust("candle"), threads(n)))
        rows.append(Entry(f"burn, {plural}", [rust("burn"), *common], rust("burn"), threads(n)))
        rows.append(Entry(f"scikit-learn, {plural}", python("sklearn_peer.py"), "sklearn", threads(n)))
    return [row for row in rows if not given.only or any(part in row.name.lower() for part in ["flatiron", *given.only])]


def notebooks(given):
    """The whole job of W2: the book's script as it stands, and Flatiron's command."""
    script = HERE / "keras_notebook.py"

    def keras(backend):
        return [sys.executable, script, "--data-dir", given.data_dir, "--backend", backend]

    rows = [
        Entry("Flatiron", flatiron(given, "W2", 5, 0), given.flatiron),
        Entry("Keras script (TensorFlow)", keras("tensorflow"), "tensorflow"),
        Entry("Keras script (JAX)", keras("jax"), "jax"),
    ]
    return [row for row in rows if not given.only or any(part in row.name.lower() for part in ["flatiron", *given.only])]


def bring_back(folder):
    """Brings every file below a folder back into the page cache, in large pages where the system can."""
    for path in folder.rglob("*-ubyte"):
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as pages:
            if hasattr(mmap, "MADV_HUGEPAGE"):
                pages.madvise(mmap.MADV_HUGEPAGE)
            for at in range(0, len(pages), mmap.PAGESIZE):
                pages[at]


def once(given, entry, round_number, record):
    """Runs one entry; its record is added to the raw file, a failure is reported and the run goes on."""
    time.sleep(given.pause)
    if given.quiet:
        measure.wait_until_quiet(given.quiet)
    bring_back(given.data_dir)
    try:
        lines, seconds, memory = measure.run(entry.command, entry.environment, limit=given.limit)
    except measure.Failed as error:
        print(f"{entry.name}: {error}", file=sys.stderr)
        return
    epochs = [line["seconds"] for line in lines if "epoch" in line]
    result = lines[-1] if lines else {}
    record = {
        **record,
        "name": entry.name,
        "round": round_number,
        "version": result.get("version", ""),
        "setting": result.get("setting", ""),
        "epochs": epochs,
        "test_accuracy": result.get("test_accuracy"),
        "weights_hash": result.get("weights_hash"),
        "threads": result.get("threads"),
        "isa": result.get("isa"),
        "process_seconds": round(seconds, 4),
        "peak_mib": round(memory, 1),
        "load": os.getloadavg()[0],
    }
    given.records.append(record)
    print(json.dumps(record), file=given.raw, flush=True)
    steady = statistics.median(epochs[1:] or epochs) if epochs else float("nan")
    print(f"{record['kind']} round {round_number} {entry.name}: {steady:.3f} s/epoch, {seconds:.2f} s in all", file=sys.stderr)


def rotated(rows, by):
    by %= max(1, len(rows))
    return rows[by:] + rows[:by]


def present(rows):
    """The rows that can run; the others are named once."""
    for row in rows:
        if row.missing():
            print(f"left out: {row.name}: {row.missing()}", file=sys.stderr)
    return [row for row in rows if not row.missing()]


def spread(values, digits):
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def grouped(records):
    names = {}
    for record in records:
        names.setdefault(record["name"], []).append(record)
    return names


def epoch_table(records):
    """Fastest first. A run's first epoch, which compiles and warms up, is left out for everyone."""
    speed = {}
    for name, runs in grouped(records).items():
        speed[name] = [statistics.median(run["epochs"][1:] or run["epochs"]) for run in runs]
    own = statistics.median(speed["Flatiron"]) if "Flatiron" in speed else float("nan")
    lines = [
        "| | seconds an epoch | samples/s | Flatiron is faster by | test accuracy | whole process, s | peak memory, MiB |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in sorted(speed, key=lambda name: statistics.median(speed[name])):
        runs = grouped(records)[name]
        median = statistics.median(speed[name])
        accuracies = [run["test_accuracy"] for run in runs if run["test_accuracy"] is not None]
        accuracy = f"{statistics.mean(accuracies):.4f}" if accuracies else ""
        lines.append(
            f"| {name} | {spread(speed[name], 3)} | {SAMPLES / median:,.0f} | {median / own:.2f} | {accuracy} "
            f"| {spread([run['process_seconds'] for run in runs], 2)} | {max(run['peak_mib'] for run in runs):.0f} |"
        )
    return lines


def job_table(records):
    times = {name: [run["process_seconds"] for run in runs] for name, runs in grouped(records).items()}
    own = statistics.median(times["Flatiron"]) if "Flatiron" in times else float("nan")
    lines = ["| | whole process, s | Flatiron is faster by | peak memory, MiB |", "|---|---|---|---|"]
    for name in sorted(times, key=lambda name: statistics.median(times[name])):
        peak = max(run["peak_mib"] for run in grouped(records)[name])
        ratio = statistics.median(times[name]) / own
        lines.append(f"| {name} | {spread(times[name], 2)} | {ratio:.1f} | {peak:.0f} |")
    return lines


def inference_table(given):
    """ONNX Runtime's own figures; Flatiron's come from `cargo bench`."""
    lines, _, _ = measure.run([sys.executable, HERE / "onnx_peer.py", "--data-dir", given.data_dir], limit=given.limit)
    table = [
        "| ONNX Runtime | one image, run(), p50, us | one image, bound, p50, us | images/s | best batch |",
        "|---|---|---|---|---|",
    ]
    for line in lines:
        print(json.dumps({"kind": "inference", **line}), file=given.raw, flush=True)
        table.append(
            f"| 784-{line['hidden']}-10 | {line['one_image_p50_us']:.1f} | {line['one_image_bound_p50_us']:.1f} "
            f"| {line['images_per_second']:,} | {line['batch']:,} |"
        )
    return table


def settings(records):
    """What each row ran, for the list under the table."""
    for name, runs in grouped(records).items():
        if runs[0]["setting"]:
            yield f"- {name}: version {runs[0]['version']}; {runs[0]['setting']}"
        elif runs[0]["isa"]:
            hashes = ", ".join(f"{run['round']}: {run['weights_hash'][:12]}" for run in runs if run["weights_hash"])
            yield f"- {name}: {runs[0]['threads']} threads, {runs[0]['isa']}; weights by seed: {hashes}"


def report(given, sections):
    isa = measure.output(str(given.flatiron), "--version")
    python = sys.version.split()[0]
    only = " ".join(["", "--only", *map(shlex.quote, given.only)]) if given.only else ""
    text = [
        "# Flatiron beside its peers",
        "",
        f"{datetime.date.today()}, {measure.machine()}. Flatiron {measure.commit()} ({isa}), "
        f"{measure.output('rustc', '--version')}, Python {python}.",
        f"`python benches/peers/run.py --rounds {given.rounds} --epochs {given.epochs}{only}`; "
        f"load average at the end {os.getloadavg()[0]:.1f}.",
        "",
        f"{given.rounds} rounds, interleaved; round r runs everyone once with seed r, in an order that turns. "
        f"Seconds an epoch: median over the rounds of each run's median epoch, its first epoch left out (least to greatest "
        f"of the rounds). Test accuracy: mean over the rounds, after {given.epochs} epochs. Whole process: from start to "
        "exit, everything included, raw IDX files in the page cache. What an epoch's time covers, and the settings tried: docs/measuring.md.",
        "",
    ]
    for title, lines in sections:
        text += [f"## {title}", "", *lines, ""]
    return "\n".join(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=pathlib.Path, required=True, help="folder with mnist/ and fashion-mnist/")
    parser.add_argument("--flatiron", type=pathlib.Path, default=ROOT / "target/release/trainer")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, default=list(WORKLOADS))
    parser.add_argument("--only", nargs="+", help="only rows whose name contains one of these words (and Flatiron)")
    parser.add_argument("--no-notebook", action="store_true", help="leave out the whole job of the book's script")
    parser.add_argument("--no-inference", action="store_true", help="leave out ONNX Runtime")
    parser.add_argument("--quiet", type=float, default=0.3, help="wait until so few cores are busy; 0: do not wait")
    parser.add_argument("--pause", type=float, default=2, help="seconds before each run, see docs/measuring.md")
    parser.add_argument("--limit", type=float, default=600, help="seconds after which a run is given up")
    parser.add_argument("--out", type=pathlib.Path, help="the Markdown file; standard output otherwise")
    parser.add_argument("--raw", type=pathlib.Path, help="every run as a JSON line (default: beside --out)")
    given = parser.parse_args()
    given.flatiron = given.flatiron.resolve()
    if given.only:
        given.only = [word.lower() for word in given.only]
    raw = given.raw or (given.out.with_suffix(".jsonl") if given.out else pathlib.Path(os.devnull))
    given.records = []

    sections = []
    with raw.open("w") as given.raw, tempfile.TemporaryDirectory(prefix="peers-") as folder:
        given.data_dir = inflate(given.data_dir, pathlib.Path(folder))
        for workload in given.workloads:
            present(entries(given, workload, 0))
            for r in range(given.rounds):
                rows = [row for row in entries(given, workload, r) if not row.missing()]
                for row in rotated(rows, r):
                    once(given, row, r, {"kind": workload})
        if not given.no_notebook:
            rows = present(notebooks(given))
            for r in range(given.rounds):
                for row in rotated(rows, r):
                    once(given, row, r, {"kind": "job"})
        titles = {
            "W1": "W1: Fashion-MNIST, 784-128-10, Adam, batch 32",
            "W2": "W2: MNIST, 784-512-10, RMSprop, batch 128",
        }
        for workload in given.workloads:
            records = [record for record in given.records if record["kind"] == workload]
            sections.append((titles[workload], [*epoch_table(records), "", *settings(records)]))
        records = [record for record in given.records if record["kind"] == "job"]
        if records:
            title = "The whole job: process start, load, five epochs of W2, evaluation"
            sections.append((title, job_table(records)))
        if not given.no_inference and importlib.util.find_spec("onnxruntime"):
            sections.append(("Inference", inference_table(given)))

    text = report(given, sections)
    if given.out:
        given.out.write_text(text)
    else:
        print(text)


if __name__ == "__main__":
    main()
