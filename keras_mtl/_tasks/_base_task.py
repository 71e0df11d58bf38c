"""The settings of a task, and the output, loss and metrics that are made from them."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, Self

import keras

from keras_mtl._tasks._column_view import column_metrics
from keras_mtl._tasks._head import Head, attach_head
from keras_mtl._tasks._labels import Labels
from keras_mtl._tasks._mean_loss import MeanLoss
from keras_mtl._tasks._named_losses import get_loss
from keras_mtl._tasks._named_metrics import Mode, get_metric, metric_mode, metric_name
from keras_mtl._tasks._names import check_name
from keras_mtl._tasks._task_loss import TaskLoss
from keras_mtl._tasks._task_metric import TaskMetric
from keras_mtl._types import Recipe, Tensor


@dataclasses.dataclass(frozen=True)
class BaseTask:
    """Holds the settings of a task, and makes its output, loss and metrics from them.

    The settings are documented in `Task`, the class that users see: this class and a factory per
    kind of task. They are stored here, below the factories, so that a factory can call the
    constructor, and a type checker can check that call.
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
        self._convert()
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

    def _convert(self) -> None:
        """Converts sequences to tuples and the weight to a float, so that equal tasks are equal.

        Raises:
            ValueError: If a sequence is a string, which would be taken for a list of letters.
        """
        types = {"metrics": tuple, "columns": tuple, "log_columns": tuple, "weight": float}
        for field, convert in types.items():
            value = getattr(self, field)
            if isinstance(value, str):
                raise ValueError(f"task {self.name!r}: {field} is one string; put it in a list.")
            # The way around a frozen dataclass.
            object.__setattr__(self, field, value if value is None else convert(value))

    @property
    def elementwise(self) -> bool:
        """Whether every entry of the prediction's last axis has a label of its own."""
        return self.columns is not None or bool(
            self.labels and not self.labels.integer and len(self.labels.shape) == 1
        )

    @property
    def loss_names(self) -> tuple[str, ...]:
        """The names of the losses that a balancer sees.

        The task's name, or `<task>/<column>` for each of its columns.
        """
        if self.columns is None:
            return (self.name,)
        return tuple(f"{self.name}/{column}" for column in self.columns)

    @property
    def metric_names(self) -> tuple[str, ...]:
        """The names of the metrics, without the task's name in front."""
        if self.columns:
            # The last metric is the mean loss.
            return tuple(metric.name for metric in self.make_metrics()[:-1])
        return tuple(metric_name(metric, get_loss(self.loss)) for metric in self.metrics)

    def output(self, features: Tensor) -> Tensor:
        """Ends a tower: maps `features` to the task's named float32 prediction."""
        return attach_head(self.head, features, self.name)

    def make_loss(self) -> TaskLoss:
        """Returns a new loss: the mean over the valid labels of the global batch."""
        columns = len(self.columns or ())
        return TaskLoss(get_loss(self.loss), self.elementwise, num_columns=columns)

    def make_metrics(self, *, prefix: str = "") -> list[keras.metrics.Metric]:
        """Returns new metrics over valid labels, the mean loss last.

        Args:
            prefix: Begins the name of every metric. Defaults to no prefix.
        """
        metrics: list[keras.metrics.Metric] = []
        for metric in self._plain_metrics():
            if self.columns:
                logged = tuple(self.log_columns)
                metrics += column_metrics(metric, tuple(self.columns), logged, prefix)
            else:
                metrics.append(TaskMetric(metric, self.elementwise, name=prefix + metric.name))
        return [*metrics, MeanLoss(self.make_loss(), name=f"{prefix}mean_loss")]

    def mode(self, metric: str) -> Mode | None:
        """Returns `"max"` or `"min"` for a metric of `metric_names`, or `None` if unknown."""
        modes = {plain.name: metric_mode(plain) for plain in self._plain_metrics()}
        # <metric>_<column>, <metric>_worst and <metric>_best have the mode of their metric.
        return modes[metric] if metric in modes else modes[metric.rpartition("_")[0]]

    def _plain_metrics(self) -> list[keras.metrics.Metric]:
        """Returns new Keras metrics, which know nothing of missing labels or columns."""
        return [get_metric(metric, get_loss(self.loss)) for metric in self.metrics]

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal task."""
        config = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        for key in ("head", "loss"):
            config[key] = keras.saving.serialize_keras_object(config[key])
        config["metrics"] = [keras.saving.serialize_keras_object(metric) for metric in self.metrics]
        config["labels"] = dataclasses.asdict(self.labels) if self.labels else None
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Builds the task that `get_config` described."""
        config = dict(config)
        for key in ("head", "loss"):
            config[key] = keras.saving.deserialize_keras_object(config[key])
        config["metrics"] = [
            keras.saving.deserialize_keras_object(metric) for metric in config["metrics"]
        ]
        if config["labels"]:
            # JSON turns the tuple of the shape into a list.
            labels = config["labels"]
            config["labels"] = Labels(**{**labels, "shape": tuple(labels["shape"])})
        return cls(**config)
