"""What is to be learned: `Task`, its factories, and what `compile` needs of a list of them."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl._tasks._column_metrics import column_metrics
from keras_mtl._tasks._head import Head, attach_head
from keras_mtl._tasks._loss import TaskLoss, get_loss
from keras_mtl._tasks._metrics import (
    MeanLoss,
    Mode,
    TaskMetric,
    get_metric,
    metric_mode,
    metric_name,
)
from keras_mtl._tasks._names import check_name
from keras_mtl._types import Recipe, Tensor


@dataclasses.dataclass(frozen=True)
class Labels:
    """What the labels of a task look like, so that data can be checked before training.

    Args:
        shape: Shape behind the batch axis; `None` stands for any length.
        integer: Whether labels are classes (and a sentinel marks a missing one).
        low: Smallest allowed value, if there is one.
        high: Largest allowed value, if there is one.

    Example:
        >>> Labels((None,), integer=True, low=0, high=16).high
        16
    """

    shape: tuple[int | None, ...] = ()
    integer: bool = False
    low: float | None = None
    high: float | None = None


@keras.saving.register_keras_serializable(package="keras_mtl")
@dataclasses.dataclass(frozen=True)
class Task:
    """States what is to be learned: a name, a head, a loss and metrics.

    A task holds recipes and never live layers, so one list of tasks builds any number of
    networks. The factories (`Task.binary`, `Task.multiclass`, `Task.multilabel`,
    `Task.regression`, `Task.count`, `Task.tagging`, `Task.segmentation`) fill in a head, a loss
    and metrics that belong together; the constructor takes any other combination.

    Args:
        name: Becomes the output, the label key, the prefix of the logs and the signature that
            is served. Letters, digits, `_`, `.` and `-`, beginning with a letter.
        head: A `Head`, or a recipe `features -> prediction` that makes new layers at each call.
        loss: A `keras.losses.Loss` or the name of one. Its reduction is not used: the loss of
            a task is the mean over the valid labels of the global batch.
        metrics: Names or `keras.metrics.Metric` objects (which are copied for each model).
        weight: Multiplies the task's loss; finite and not negative. Defaults to `1.0`.
        columns: Names of the entries of the last axis where each is a task of its own, whose
            label may be missing by itself (the assays of a molecule). The task's loss is the sum
            over the columns of their means; balancers see as many losses, and metrics are
            logged as the mean (`<task>_auc`), the worst and the best column.
        log_columns: Columns whose own metrics are logged, as `<task>_<metric>_<column>`.
        labels: What labels look like, to check them before training. Defaults to no check.

    Raises:
        ValueError: If the name cannot name an output, the weight is negative or not finite, or
            a loss or metric is unknown. The message names the task.

    Example:
        >>> task = Task.binary("income", metrics=["auc", "accuracy"], weight=2.0)
        >>> task.metric_names
        ('auc', 'accuracy')
    """

    name: str
    _: dataclasses.KW_ONLY
    head: Head | Recipe
    loss: keras.losses.Loss | str
    metrics: Sequence[Any] = ()
    weight: float = 1.0
    columns: Sequence[str] | None = None
    labels: Labels | None = None
    log_columns: Sequence[str] = ()

    def __post_init__(self) -> None:
        check_name(self.name)
        kinds = {"metrics": tuple, "columns": tuple, "log_columns": tuple, "weight": float}
        for field, kind in kinds.items():
            value = getattr(self, field)
            if isinstance(value, str):
                raise ValueError(f"task {self.name!r}: {field} is one string; put it in a list.")
            object.__setattr__(self, field, value if value is None else kind(value))
        if not (math.isfinite(self.weight) and self.weight >= 0):
            raise ValueError(
                f"task {self.name!r}: weight must be finite and at least 0; received {self.weight}."
            )
        unknown = sorted(set(self.log_columns) - set(self.columns or ()))
        if unknown:
            raise ValueError(
                f"task {self.name!r}: log_columns {unknown} are not among its columns."
            )
        try:
            self.make_loss()
            names = self.metric_names
        except (ValueError, TypeError) as error:
            raise ValueError(f"task {self.name!r}: {error}") from error
        if len(set(names)) < len(names):
            raise ValueError(f"task {self.name!r}: two metrics share a name: {names}.")

    @property
    def elementwise(self) -> bool:
        """Whether every entry of the prediction's last axis has a label of its own."""
        return self.columns is not None or bool(
            self.labels and not self.labels.integer and len(self.labels.shape) == 1
        )

    @property
    def loss_names(self) -> tuple[str, ...]:
        """The names of the losses that a balancer sees: the task's, or `<task>/<column>` each."""
        if self.columns is None:
            return (self.name,)
        return tuple(f"{self.name}/{column}" for column in self.columns)

    @property
    def metric_names(self) -> tuple[str, ...]:
        """The names of the metrics, without the task's."""
        if self.columns:
            return tuple(metric.name for metric in self.make_metrics()[:-1])
        return tuple(metric_name(metric, get_loss(self.loss)) for metric in self.metrics)

    def output(self, features: Tensor) -> Tensor:
        """Ends a tower: maps `features` to the task's named float32 prediction."""
        return attach_head(self.head, features, self.name)

    def make_loss(self) -> TaskLoss:
        """A fresh loss: the mean over the valid labels of the global batch."""
        columns = len(self.columns or ())
        return TaskLoss(get_loss(self.loss), self.elementwise, num_columns=columns)

    def make_metrics(self, *, prefix: str = "") -> list[keras.metrics.Metric]:
        """Fresh metrics over valid labels, their names led by `prefix`."""
        metrics: list[keras.metrics.Metric] = []
        for metric in self._metrics():
            if self.columns:
                logged = tuple(self.log_columns)
                metrics += column_metrics(metric, tuple(self.columns), logged, prefix)
            else:
                metrics.append(TaskMetric(metric, self.elementwise, name=prefix + metric.name))
        return [*metrics, MeanLoss(self.make_loss(), name=f"{prefix}mean_loss")]

    def mode(self, metric: str) -> Mode | None:
        """Whether a metric, named as in `metric_names`, is better high or low."""
        modes = {each.name: metric_mode(each) for each in self._metrics()}
        return modes[metric] if metric in modes else modes[metric.rpartition("_")[0]]

    def _metrics(self) -> list[keras.metrics.Metric]:
        return [get_metric(metric, get_loss(self.loss)) for metric in self.metrics]

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal task."""
        config = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        for key in ("head", "loss"):
            config[key] = keras.saving.serialize_keras_object(config[key])
        config["metrics"] = [keras.saving.serialize_keras_object(m) for m in self.metrics]
        config["labels"] = dataclasses.asdict(self.labels) if self.labels else None
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Task":
        """Makes the task that `get_config` described."""
        config = dict(config)
        for key in ("head", "loss"):
            config[key] = keras.saving.deserialize_keras_object(config[key])
        config["metrics"] = [keras.saving.deserialize_keras_object(m) for m in config["metrics"]]
        if config["labels"]:
            labels = config["labels"]
            config["labels"] = Labels(**{**labels, "shape": tuple(labels["shape"])})
        return cls(**config)

    @classmethod
    def binary(cls, name: str, *, metrics: Sequence[Any] = ("auc",), weight: float = 1.0) -> "Task":
        """Two classes, 0 or 1: output `(batch, 1)` is the probability of 1.

        Binary cross-entropy, computed from the logits.

        Example:
            >>> Task.binary("click").metric_names
            ('auc',)
        """
        head, loss = Head(1, "sigmoid"), keras.losses.BinaryCrossentropy()
        labels = Labels(low=0, high=1)
        return cls(name, head=head, loss=loss, metrics=metrics, weight=weight, labels=labels)

    @classmethod
    def multiclass(
        cls,
        name: str,
        num_classes: int,
        *,
        metrics: Sequence[Any] = ("accuracy",),
        weight: float = 1.0,
    ) -> "Task":
        """One of `num_classes` classes: output `(batch, num_classes)` sums to 1.

        Labels are integers `(batch,)`; categorical cross-entropy, computed from the logits.

        Example:
            >>> Task.multiclass("topic", 4).head.units
            4
        """
        return cls._classes(name, num_classes, (), metrics, weight)

    @classmethod
    def tagging(
        cls,
        name: str,
        num_classes: int,
        *,
        metrics: Sequence[Any] = ("accuracy",),
        weight: float = 1.0,
    ) -> "Task":
        """One of `num_classes` classes a token: output `(batch, time, num_classes)`.

        Labels are integers `(batch, time)`. Tokens that the network masks count neither in the
        loss nor in the metrics.

        Example:
            >>> Task.tagging("pos", 17).labels.shape
            (None,)
        """
        return cls._classes(name, num_classes, (None,), metrics, weight)

    @classmethod
    def segmentation(
        cls,
        name: str,
        num_classes: int,
        *,
        metrics: Sequence[Any] = ("accuracy",),
        weight: float = 1.0,
    ) -> "Task":
        """One of `num_classes` classes a pixel: output `(batch, height, width, num_classes)`.

        Labels are integers `(batch, height, width)`, at the resolution of the features.

        Example:
            >>> Task.segmentation("parts", 7).labels.shape
            (None, None)
        """
        return cls._classes(name, num_classes, (None, None), metrics, weight)

    @classmethod
    def _classes(
        cls,
        name: str,
        num_classes: int,
        shape: tuple[int | None, ...],
        metrics: Sequence[Any],
        weight: float,
    ) -> "Task":
        if num_classes < 2:
            raise ValueError(f"task {name!r}: num_classes must be at least 2, not {num_classes}.")
        loss = keras.losses.SparseCategoricalCrossentropy()
        labels = Labels(shape, integer=True, low=0, high=num_classes - 1)
        head = Head(num_classes, "softmax")
        return cls(name, head=head, loss=loss, metrics=metrics, weight=weight, labels=labels)

    @classmethod
    def multilabel(
        cls,
        name: str,
        num_labels: int | None = None,
        *,
        columns: Sequence[str] | None = None,
        metrics: Sequence[Any] = ("auc",),
        weight: float = 1.0,
        log_columns: Sequence[str] = (),
    ) -> "Task":
        """Several yes-or-no labels: output `(batch, num_labels)` of probabilities.

        Each label may be missing by itself. Give their number, and they are one task; or give
        their names as `columns`, and each is a task to balancers and in the logs.

        Example:
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
            loss=keras.losses.BinaryCrossentropy(),
            metrics=metrics,
            weight=weight,
            columns=columns,
            labels=Labels((size,), low=0, high=1),
            log_columns=log_columns,
        )

    @classmethod
    def regression(
        cls,
        name: str,
        units: int = 1,
        *,
        metrics: Sequence[Any] = ("mae",),
        weight: float = 1.0,
    ) -> "Task":
        """Real values: output `(batch, units)`, squared error.

        Labels are `(batch,)` for one unit and `(batch, units)` for several, each of which may
        be missing by itself.

        Example:
            >>> Task.regression("age").loss.name
            'mean_squared_error'
        """
        labels = Labels(() if units == 1 else (units,))
        loss = keras.losses.MeanSquaredError()
        return cls(name, head=Head(units), loss=loss, metrics=metrics, weight=weight, labels=labels)

    @classmethod
    def count(cls, name: str, *, metrics: Sequence[Any] = ("mae",), weight: float = 1.0) -> "Task":
        """Counts 0, 1, 2, ...: output `(batch, 1)` is the rate of a Poisson distribution.

        Example:
            >>> Task.count("rentals").head.activation
            'exponential'
        """
        return cls(
            name,
            head=Head(1, "exponential"),
            loss=keras.losses.Poisson(),
            metrics=metrics,
            weight=weight,
            labels=Labels(low=0),
        )
