"""JAX: one jit over a whole epoch, a scan over its steps."""

import functools
import os
import time

import peer


def options():
    return peer.arguments(
        __doc__,
        input={"choices": ["f32", "u8"], "default": "u8", "help": "element type the images are kept in"},
        batches={"choices": ["gather", "permute"], "default": "gather", "help": "gather in each step, or all before"},
        loss={"choices": ["take", "one-hot", "manual"], "default": "take", "help": "how the loss picks the label; manual: gradient by hand"},
        weights={"choices": ["in-out", "out-in"], "default": "in-out", "help": "order of the weights' axes"},
        unroll={"type": int, "default": 1, "help": "steps the scan unrolls"},
        hidden={"type": int, "nargs": "+", "help": "other hidden widths than the workload's"},
        batch={"type": int, "help": "another batch size than the workload's"},
        samples={"type": int, "help": "train on the first so many samples"},
        seconds={"type": float, "help": "stop after the epoch that passes so many seconds (at least three epochs)"},
    )


def main():
    given = options()

    import jax
    import jax.numpy as jnp
    import numpy as np

    work = peer.WORKLOADS[given.workload]
    hidden = given.hidden or work["hidden"]
    batch = given.batch or work["batch"]
    adam = work["optimizer"] == "adam"
    train_x, train_y, test_x, test_y = peer.load(given.data_dir, work["data"])
    samples = min(given.samples or len(train_x), len(train_x))
    batch = min(batch, samples)
    scale = np.float32(1 / 255)

    def to_device(images):
        return jnp.asarray(images if given.input == "u8" else images.astype(np.float32) * scale)

    x, y = to_device(train_x[:samples]), jnp.asarray(train_y[:samples], jnp.int32)

    def glorot(key, inputs, units):
        limit = (6 / (inputs + units)) ** 0.5
        shape = (inputs, units) if given.weights == "in-out" else (units, inputs)
        return jax.random.uniform(key, shape, minval=-limit, maxval=limit)

    widths = [train_x.shape[1], *hidden, 10]
    keys = jax.random.split(jax.random.PRNGKey(given.seed), len(widths))
    parameters = [
        (glorot(key, inputs, units), jnp.zeros(units)) for key, inputs, units in zip(keys, widths, widths[1:])
    ]
    zeros = functools.partial(jax.tree.map, jnp.zeros_like)
    state = (parameters, zeros(parameters), zeros(parameters) if adam else (), jnp.zeros(()))

    def dense(x, w, b):
        axis = 0 if given.weights == "in-out" else 1
        return jax.lax.dot_general(x, w, (((1,), (axis,)), ((), ()))) + b

    def forward(parameters, x):
        if given.input == "u8":
            x = x.astype(jnp.float32) * scale
        for w, b in parameters[:-1]:
            x = jax.nn.relu(dense(x, w, b))
        return dense(x, *parameters[-1])

    def loss(parameters, x, y):
        log_p = jax.nn.log_softmax(forward(parameters, x))
        if given.loss == "take":
            return -jnp.take_along_axis(log_p, y[:, None], 1).mean()
        return -(log_p * jax.nn.one_hot(y, 10)).sum(1).mean()

    def by_hand(parameters, x, y):
        (w1, b1), (w2, b2) = parameters
        if given.input == "u8":
            x = x.astype(jnp.float32) * scale
        a = jax.nn.relu(dense(x, w1, b1))
        log_p = jax.nn.log_softmax(dense(a, w2, b2))
        target = jax.nn.one_hot(y, 10)
        dz2 = (jnp.exp(log_p) - target) / len(y)
        dz1 = jnp.where(a > 0, dz2 @ (w2.T if given.weights == "in-out" else w2), 0)

        def weight_gradient(x, dz):
            return x.T @ dz if given.weights == "in-out" else dz.T @ x

        gradients = [(weight_gradient(x, dz1), dz1.sum(0)), (weight_gradient(a, dz2), dz2.sum(0))]
        return -(log_p * target).sum(1).mean(), gradients

    loss_and_gradients = by_hand if given.loss == "manual" else jax.value_and_grad(loss)

    def step(state, x, y):
        p, v, m, t = state
        value, g = loss_and_gradients(p, x, y)
        if adam:
            t = t + 1
            m = jax.tree.map(lambda m, g: peer.BETA_1 * m + (1 - peer.BETA_1) * g, m, g)
            v = jax.tree.map(lambda v, g: peer.BETA_2 * v + (1 - peer.BETA_2) * g * g, v, g)
            rate = peer.LEARNING_RATE * jnp.sqrt(1 - peer.BETA_2**t) / (1 - peer.BETA_1**t)
            p = jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) + peer.EPSILON), p, m, v)
        else:
            v = jax.tree.map(lambda v, g: peer.RHO * v + (1 - peer.RHO) * g * g, v, g)
            p = jax.tree.map(
                lambda p, g, v: p - peer.LEARNING_RATE * g * jax.lax.rsqrt(v + peer.EPSILON), p, g, v
            )
        return (p, v, m, t), value * len(y)

    whole = samples // batch * batch

    # Donated: the old weights' memory is reused for the new ones.
    @functools.partial(jax.jit, donate_argnums=0)
    def epoch(state, x, y, order):
        rows = order[:whole].reshape(-1, batch)
        if given.batches == "gather":
            state, values = jax.lax.scan(lambda s, r: step(s, x[r], y[r]), state, rows, unroll=given.unroll)
        else:
            state, values = jax.lax.scan(lambda s, xy: step(s, *xy), state, (x[rows], y[rows]), unroll=given.unroll)
        total = values.sum()
        if whole < samples:
            state, value = step(state, x[order[whole:]], y[order[whole:]])
            total += value
        return state, total / samples

    setting = f"one jit, scan; {given.input} {given.batches}, {given.loss}, {given.weights}, unroll {given.unroll}"
    if os.environ.get("XLA_FLAGS"):
        setting += ", " + os.environ["XLA_FLAGS"]
    report = peer.Report("JAX", jax.__version__, setting, given.workload, len(os.sched_getaffinity(0)))
    random = np.random.default_rng(given.seed)
    begun = time.perf_counter()
    for _ in range(given.epochs):
        started = time.perf_counter()
        order = random.permutation(samples).astype(np.int32)
        state, value = epoch(state, x, y, order)
        value.block_until_ready()
        report.epoch(started, value)
        if given.seconds and time.perf_counter() - begun > given.seconds and len(report.seconds) >= 3:
            break

    predicted = jax.jit(lambda p, x: forward(p, x).argmax(1))(state[0], to_device(test_x))
    report.result(np.mean(np.asarray(predicted) == test_y))


if __name__ == "__main__":
    main()
