"""Tries JAX's and Keras's settings on both workloads, in turns, and prints each one's best epoch.

    python tune.py --data-dir DIR [--rounds 3]

This is how the settings that run.py uses were found; the table in docs/measuring.md is its output.
"""

import argparse
import pathlib
import sys

import measure
from measure import HERE

JAX = [
    [],
    ["--loss", "one-hot"],
    ["--loss", "manual"],
    ["--input", "f32"],
    ["--batches", "permute"],
    ["--input", "f32", "--batches", "permute"],
    ["--weights", "out-in"],
    ["--unroll", "2"],
    ["--unroll", "4"],
    ["--unroll", "8"],
    ["--weights", "out-in", "--unroll", "4"],
    ["--loss", "manual", "--unroll", "4"],
]
XLA_FLAGS = [
    "--xla_cpu_prefer_vector_width=512",
    "--xla_cpu_multi_thread_eigen=false",
    "--xla_cpu_use_onednn=true",
    "--xla_cpu_use_onednn=true --xla_cpu_experimental_onednn_fusion_type=dot",
    "--xla_cpu_experimental_xnn_fusion_type=dot",
    "--xla_cpu_experimental_ynn_fusion_type=+dot",
    "--xla_cpu_experimental_xnn_graph_fusion_mode=XNN_GRAPH_FUSION_MODE_GREEDY",
    "--xla_cpu_use_xnnpack=false",
    "--xla_cpu_enable_fast_math=true",
    "--xla_cpu_opt_preset=CPU_OPT_PRESET_FAST_RUNTIME",
]
KERAS = [
    ["--backend", "tensorflow"],
    ["--backend", "tensorflow", "--steps-per-execution", "50"],
    ["--backend", "tensorflow", "--pipeline", "tf.data"],
    ["--backend", "tensorflow", "--no-jit"],
    ["--backend", "jax"],
    ["--backend", "jax", "--steps-per-execution", "50"],
    ["--backend", "jax", "--pipeline", "tf.data"],
    ["--backend", "torch", "--steps-per-execution", "1", "--no-jit"],
]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=pathlib.Path, required=True, help="folder with mnist/ and fashion-mnist/")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--peers", nargs="+", choices=["jax", "xla", "keras"], default=["jax", "xla", "keras"])
    parser.add_argument("--quiet", type=float, default=0.3, help="wait until so few cores are busy; 0: do not wait")
    given = parser.parse_args()
    data_dir = given.data_dir.resolve()

    tried = {"jax": [("jax_peer.py", flags, {}) for flags in JAX]}
    tried["xla"] = [("jax_peer.py", [], {"XLA_FLAGS": flags}) for flags in XLA_FLAGS]
    tried["keras"] = [("keras_peer.py", flags, {}) for flags in KERAS]
    best = {}
    for _ in range(given.rounds):
        for script, flags, environment in [one for peer in given.peers for one in tried[peer]]:
            name = " ".join([script.removesuffix("_peer.py"), *flags, *environment.values()])
            for workload in ["W1", "W2"]:
                command = [sys.executable, HERE / script, "--workload", workload, "--data-dir", data_dir]
                if given.quiet:
                    measure.wait_until_quiet(given.quiet)
                try:
                    lines, _, _ = measure.run([*command, "--epochs", given.epochs, *flags], environment, limit=200)
                except measure.Failed as error:
                    print(f"{name} {workload}: {error}", file=sys.stderr)
                    continue
                epochs = [line["seconds"] for line in lines if "epoch" in line][1:]
                row = best.setdefault(name, {})
                row[workload] = min([row.get(workload, float("inf")), *epochs])
    print("| setting | W1, s | W2, s |\n|---|---|---|")
    for name, row in best.items():
        print(f"| {name} | {row.get('W1', float('nan')):.3f} | {row.get('W2', float('nan')):.3f} |")


if __name__ == "__main__":
    main()
