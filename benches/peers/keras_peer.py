"""Keras 3 with fit(): jit compilation and many steps an execution, on one of its three backends."""

import importlib.metadata
import os
import time

import peer


def main():
    given = peer.arguments(
        __doc__,
        backend={"choices": ["jax", "tensorflow", "torch"], "default": "tensorflow"},
        steps_per_execution={"type": int, "default": 0, "help": "0: a whole epoch"},
        pipeline={"choices": ["arrays", "tf.data"], "default": "arrays", "help": "how fit() gets its batches"},
        no_jit={"action": "store_true"},
        hidden={"type": int, "nargs": "+", "help": "other hidden widths than the workload's"},
        batch={"type": int, "help": "another batch size than the workload's"},
    )
    os.environ["KERAS_BACKEND"] = given.backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

    import keras
    import numpy as np

    keras.utils.set_random_seed(given.seed)
    work = peer.WORKLOADS[given.workload]
    batch = given.batch or work["batch"]
    train_x, train_y, test_x, test_y = peer.load(given.data_dir, work["data"])
    train_x, test_x = (x.astype(np.float32) / 255 for x in (train_x, test_x))

    layers = [keras.layers.Dense(units, activation="relu") for units in given.hidden or work["hidden"]]
    model = keras.Sequential([keras.Input((784,)), *layers, keras.layers.Dense(10, activation="softmax")])
    steps = -(-len(train_x) // batch)
    model.compile(
        optimizer=work["optimizer"],
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=not given.no_jit,
        steps_per_execution=given.steps_per_execution or steps,
    )

    setting = (
        f"{given.backend} backend, jit_compile={not given.no_jit}, "
        f"steps_per_execution={given.steps_per_execution or steps}, {given.pipeline}"
    )
    report = peer.Report(
        "Keras", f"{keras.__version__} ({given.backend} {importlib.metadata.version(given.backend)})",
        setting, given.workload, len(os.sched_getaffinity(0)),
    )

    class Clock(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.started = time.perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            report.epoch(self.started, logs["loss"])

    fit = {"epochs": given.epochs, "verbose": 0, "callbacks": [Clock()]}
    if given.pipeline == "tf.data":
        import tensorflow as tf

        examples = tf.data.Dataset.from_tensor_slices((train_x, train_y)).cache()
        examples = examples.shuffle(len(train_x)).batch(batch).prefetch(tf.data.AUTOTUNE)
        model.fit(examples, **fit)
    else:
        model.fit(train_x, train_y, batch_size=batch, **fit)
    # Compiled again with steps_per_execution of the training, a partial execution would be traced anew.
    predicted = np.asarray(model.predict(test_x, batch_size=2000, verbose=0)).argmax(1)
    report.result((predicted == test_y).mean())


if __name__ == "__main__":
    main()
