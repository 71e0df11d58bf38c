"""What is needed to refit the heads of a network on its frozen trunk."""

import dataclasses
from typing import Any

from keras_mtl.data._elements._numbers import read_number, read_whole


@dataclasses.dataclass(frozen=True, eq=False)
class RefitHeads:
    """Says how `KeepBest` refits heads on the trunk of the best epoch: its argument `keep`.

    At the end of training, `KeepBest` takes the network of the epoch that was best for all tasks
    together, freezes what several tasks share (in the mode of evaluation, without dropout), and
    trains what serves a single task: its tower, and its gates and experts if it has some. Each
    task has an early stopping of its own by its watched metric. The head of the best epoch is the
    first candidate, so that by the validation metric no task gets worse.

    Choose it to serve one network when tasks are best at different epochs, and there are enough
    validation rows to choose an epoch per task once more. It costs a pass of training data through
    the network per epoch, backwards through the heads alone. It does not make up for a trunk that
    has forgotten a task: then serve networks of their own (`keep="each"`), or stop a task's
    training earlier (`PauseTasks`).

    Heads of their best epochs on the trunk of *another* epoch, which is popular, are not the same:
    a head belongs to the trunk that it was trained on. The mean test loss of 8 tasks, 3 seeds in
    each of two settings (a mean over tasks and seeds; lower is better):

        last epoch                                               4.02   4.13
        the best epoch of all tasks (`keep="aggregate"`)         3.22   3.31
        heads of their best epochs on that trunk (the mixture)   3.21   3.28
        one network per task (`keep="each"`, 8 networks)         3.17   3.24
        heads refitted on that trunk                             3.09   3.16

    There heads were linear, and refitted by ridge regression with a penalty chosen by validation;
    the mixture was worse than `"aggregate"` in 2 of 6 runs. Here heads are refitted by Adam from
    where they are, whatever their layers are, which gains less: .904 and .955 with `"aggregate"`
    became .899 and .954, where `"each"` has .900 and .938 (`datasets.synthetic_groups`, 600 rows,
    8 tasks with correlated and with independent heads, linear heads on 64 shared units, 3 seeds).

    Args:
        train: Training data as for `fit`: a `tf.data.Dataset` or another stream of batches, or a
            tuple of arrays `(x, y)` or `(x, y, weights)`.
        validation: Validation data, likewise. Not the test data: heads are chosen by them.
        epochs: The largest number of epochs. Defaults to `50`.
        patience: For how many epochs a head waits for a better value. Defaults to `3`.
        learning_rate: That of Adam, for all heads. Defaults to `0.001`.
        batch_size: For arrays; see `fit`. Defaults to `32`.

    Raises:
        ValueError: If a number does not fit.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> import keras
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("click"), mtl.Task.regression("price")]
        >>> network = mtl.architectures.hard_sharing(keras.Input((4,)), tasks, shared=(8,))
        >>> network.compile("adam", **mtl.compile_args(tasks))
        >>> data = np.eye(8, 4), {"click": np.arange(8) % 2, "price": np.arange(8.0)}
        >>> refit = mtl.callbacks.RefitHeads(data, data, epochs=2)
        >>> keep = mtl.callbacks.KeepBest(
        ...     tasks, f"{tempfile.mkdtemp()}/best.weights.h5", keep=refit
        ... )
        >>> history = network.fit(*data, validation_data=data, callbacks=[keep], verbose=0)
        >>> sorted(keep.refitted)
        ['click', 'price']

    Reference: none; retraining the last layers on a frozen body is common in transfer learning.
    """

    train: Any = dataclasses.field(repr=False)
    validation: Any = dataclasses.field(repr=False)
    _: dataclasses.KW_ONLY
    epochs: int = 50
    patience: int = 3
    learning_rate: float = 1e-3
    batch_size: int = 32

    def __post_init__(self) -> None:
        for name in ("epochs", "patience", "batch_size"):
            read_whole(getattr(self, name), f"{name} is")
        read_number(self.learning_rate, "learning_rate is", low=0, above=True)
