"""The network, the batch and the first weights that both sides take; NumPy alone."""

import numpy as np

BATCH, FEATURES, TOWER = 256, 512, 32
SHARED = (512, 512, 512, 512)


def is_binary(task):
    """Returns whether a task is binary; binary tasks and regressions alternate."""
    return task % 2 == 0


def batch(count):
    """Draws the inputs and the labels of each task."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(BATCH, FEATURES)).astype("float32")
    return x, [(x[:, task] > 0).astype("float32") for task in range(count)]


def kernels(count):
    """Draws the kernels of the shared layers, and of each task's tower and head."""
    rng = np.random.default_rng(1)

    def kernel(rows, columns):
        limit = np.sqrt(6 / (rows + columns))
        return rng.uniform(-limit, limit, (rows, columns)).astype("float32")

    shared = [kernel(*sizes) for sizes in zip((FEATURES, *SHARED[:-1]), SHARED, strict=True)]
    return shared, [(kernel(SHARED[-1], TOWER), kernel(TOWER, 1)) for _ in range(count)]
