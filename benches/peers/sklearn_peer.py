"""scikit-learn's MLPClassifier. It has Adam and SGD only: W2 runs with Adam here."""

import os
import time

import peer


def main():
    given = peer.arguments(__doc__)

    import numpy as np
    import sklearn
    from sklearn.neural_network import MLPClassifier

    work = peer.WORKLOADS[given.workload]
    train_x, train_y, test_x, test_y = peer.load(given.data_dir, work["data"])
    train_x, test_x = (x.astype(np.float32) / 255 for x in (train_x, test_x))
    model = MLPClassifier(
        work["hidden"],
        activation="relu",
        solver="adam",
        alpha=0.0,
        batch_size=work["batch"],
        learning_rate_init=peer.LEARNING_RATE,
        epsilon=peer.EPSILON,
        random_state=given.seed,
    )
    setting = "MLPClassifier.partial_fit, adam, float32"
    report = peer.Report("scikit-learn", sklearn.__version__, setting, given.workload, len(os.sched_getaffinity(0)))
    classes = np.arange(10)
    for _ in range(given.epochs):
        # One call is one pass over shuffled batches, the last partial one too.
        started = time.perf_counter()
        model.partial_fit(train_x, train_y, classes=classes)
        report.epoch(started, model.loss_)
    report.result((model.predict(test_x) == test_y).mean())


if __name__ == "__main__":
    main()
