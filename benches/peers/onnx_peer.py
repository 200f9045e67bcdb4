"""ONNX Runtime: latency of one image, and the rate over 10,000, for 784-128-10 and 784-512-10.

The weights are random; the images are MNIST's test set, as float32 from 0 to 1.
Both ways to call it are timed for one image: run() with NumPy arrays, and run_with_iobinding() with
input and output bound once, which is the fastest it offers. Batches of 100, 1,000 and 10,000 are tried,
and the best one reported.
"""

import argparse
import json
import pathlib
import time

import numpy as np

import peer


def network(hidden, seed):
    """A relu network with softmax, as serialised ONNX."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(seed)
    widths = [784, hidden, 10]
    nodes, weights, last = [], [], "x"
    for layer, (inputs, units) in enumerate(zip(widths, widths[1:])):
        limit = (6 / (inputs + units)) ** 0.5
        w = random.uniform(-limit, limit, (inputs, units)).astype(np.float32)
        weights += [numpy_helper.from_array(w, f"w{layer}"), numpy_helper.from_array(np.zeros(units, np.float32), f"b{layer}")]
        nodes.append(helper.make_node("Gemm", [last, f"w{layer}", f"b{layer}"], [f"z{layer}"]))
        last = f"a{layer}" if layer + 2 < len(widths) else "y"
        nodes.append(helper.make_node("Relu" if last != "y" else "Softmax", [f"z{layer}"], [last]))
    graph = helper.make_graph(
        nodes, "dense",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 784])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 10])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def session(model, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def one_image(runtime, images, seconds):
    """Sorted times of single calls: run(), and run_with_iobinding()."""
    import onnxruntime

    plain, bound = [], []
    binding = runtime.io_binding()
    x = onnxruntime.OrtValue.ortvalue_from_numpy(images[:1].copy())
    y = onnxruntime.OrtValue.ortvalue_from_shape_and_type([1, 10], np.float32)
    binding.bind_ortvalue_input("x", x)
    binding.bind_ortvalue_output("y", y)
    clock = time.perf_counter_ns
    end = time.perf_counter() + seconds
    i = 0
    while time.perf_counter() < end:
        image = images[i % len(images)][None]
        started = clock()
        runtime.run(None, {"x": image})
        plain.append(clock() - started)
        x.update_inplace(image)
        started = clock()
        runtime.run_with_iobinding(binding)
        bound.append(clock() - started)
        i += 1
    return sorted(plain), sorted(bound)


def rate(runtime, images, batch, seconds):
    """Images a second over the whole set in batches, best of the passes that fit."""
    best = 0.0
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        started = time.perf_counter()
        for first in range(0, len(images), batch):
            runtime.run(None, {"x": images[first : first + batch]})
        best = max(best, len(images) / (time.perf_counter() - started))
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=pathlib.Path, required=True, help="folder with mnist/ and fashion-mnist/")
    parser.add_argument("--hidden", type=int, nargs="+", default=[128, 512])
    parser.add_argument("--seconds", type=float, default=2.0, help="a measurement")
    given = parser.parse_args()

    import onnxruntime

    images = peer.load(given.data_dir, "mnist")[2].astype(np.float32) / 255
    for hidden in given.hidden:
        model = network(hidden, 0)
        # One thread for one image: waking a second costs more than it brings.
        plain, bound = one_image(session(model, 1), images, given.seconds)
        everywhere = session(model, 0)
        rates = {batch: rate(everywhere, images, batch, given.seconds) for batch in [100, 1000, 10000]}
        batch = max(rates, key=rates.get)
        line = {
            "framework": "ONNX Runtime",
            "version": onnxruntime.__version__,
            "hidden": hidden,
            "one_image_p50_us": plain[len(plain) // 2] / 1e3,
            "one_image_p99_us": plain[len(plain) * 99 // 100] / 1e3,
            "one_image_bound_p50_us": bound[len(bound) // 2] / 1e3,
            "one_image_bound_p99_us": bound[len(bound) * 99 // 100] / 1e3,
            "images_per_second": round(rates[batch]),
            "batch": batch,
        }
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
