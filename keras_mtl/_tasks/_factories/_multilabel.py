"""Tasks with several yes-or-no labels per example."""

from collections.abc import Sequence
from typing import Any, Self

import keras

from keras_mtl._tasks._base_task import BaseTask
from keras_mtl._tasks._factories._binary import FOCAL
from keras_mtl._tasks._factories._chosen_loss import choose_loss
from keras_mtl._tasks._head import Head
from keras_mtl._tasks._labels import Labels


class MultilabelFactory(BaseTask):
    """Adds `Task.multilabel`."""

    @classmethod
    def multilabel(
        cls,
        name: str,
        num_labels: int | None = None,
        *,
        columns: Sequence[str] | None = None,
        loss: Any = None,
        metrics: Sequence[Any] = ("auc",),
        weight: float = 1.0,
        log_columns: Sequence[str] = (),
        threshold: float | Sequence[float] | None = None,
    ) -> Self:
        """Builds a task with several yes-or-no labels: output `(batch, num_labels)`.

        Each entry of the output is the probability of one label, and each label may be missing by
        itself. The loss of each label is that of `binary`.

        Choose `num_labels` where the labels are one task: its loss is the mean over all valid
        labels. Choose `columns` where each label is a task of its own for balancers and in the
        logs: its loss is the sum over the columns of their mean losses. Where exactly one label
        is right, use `multiclass`.

        Args:
            name: Name of the task.
            num_labels: The number of labels. Defaults to the number of columns.
            columns: Names of the labels, where each is a task of its own. Defaults to `None`.
            loss: Another loss: `"focal"`, a name of Keras, or a loss as `Task` takes it. Defaults
                to the one above.
            metrics: Names or `keras.metrics.Metric` objects. Defaults to `("auc",)`.
            weight: Multiplies the task's loss. Defaults to `1.0`.
            log_columns: Columns whose own metrics are logged. Defaults to none of them.
            threshold: The probability above which metrics that cut, and served decisions, say
                yes: one for all labels, or a sequence with one for each of them, in their order.
                `export.choose_thresholds` chooses it. Defaults to `None`: 0.5, and no decision is
                served.

        Returns:
            A `Task` with labels 0 and 1 of shape `(batch, num_labels)`.

        Raises:
            ValueError: If neither `num_labels` nor `columns` is given, if they do not fit each
                other, or if there is no label.

        Example:
            >>> from keras_mtl import Task
            >>> Task.multilabel("toxicity", columns=["nr_ar", "nr_er"]).head.units
            2
        """
        if columns is None and num_labels is None:
            raise ValueError(f"task {name!r}: give num_labels, or the names of the columns.")
        size = len(columns) if columns is not None else int(num_labels or 0)
        if size < 1 or num_labels not in (None, size):
            raise ValueError(
                f"task {name!r}: num_labels={num_labels} does not fit {size} column(s)."
            )
        return cls(
            name,
            head=Head(size, "sigmoid"),
            loss=choose_loss(name, loss, keras.losses.BinaryCrossentropy(), FOCAL),
            metrics=metrics,
            weight=weight,
            columns=columns,
            labels=Labels((size,), low=0, high=1),
            log_columns=log_columns,
            threshold=threshold,
        )
