"""The settings of a task, and the output, loss and metrics that are made from them."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, Self

import keras

from keras_mtl._tasks._assumed_shapes import (
    assumed_shapes,
    labels_have_last_axis,
    ranks_of_prediction,
)
from keras_mtl._tasks._batch_loss import sums_over_batch
from keras_mtl._tasks._check_scale import check_scale, check_size
from keras_mtl._tasks._column_view import column_metrics, column_names
from keras_mtl._tasks._copied_metric import serialize_metric
from keras_mtl._tasks._find_reading import declared_reading, find_reading
from keras_mtl._tasks._head import Head, attach_head
from keras_mtl._tasks._known_losses import argument_of, serialize_loss
from keras_mtl._tasks._label_statistics import LabelStatistics
from keras_mtl._tasks._labels import Labels
from keras_mtl._tasks._make_metric import (
    Mode,
    check_metric,
    make_metric,
    metric_mode,
    metric_name,
)
from keras_mtl._tasks._mean_loss import MeanLoss
from keras_mtl._tasks._named_losses import get_loss
from keras_mtl._tasks._names import check_metric_names, check_name
from keras_mtl._tasks._output import Output, describe_output
from keras_mtl._tasks._reading import Reading, check_columns
from keras_mtl._tasks._scale import Scale, check_fitted, read_scale
from keras_mtl._tasks._task_loss import TaskLoss
from keras_mtl._tasks._task_metric import TaskMetric
from keras_mtl._tasks._task_weight import check_weight, value_of
from keras_mtl._tasks._threshold import Threshold, check_threshold, read_threshold
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
    loss: keras.losses.Loss | str | Callable[[Tensor, Tensor], Tensor]
    metrics: Sequence[Any] = ()
    weight: float | keras.Variable = 1.0
    columns: Sequence[str] | None = None
    labels: Labels | None = None
    log_columns: Sequence[str] = ()
    reads: str | None = None
    scale: Scale | None = None
    threshold: Threshold | None = None

    def __post_init__(self) -> None:
        check_name(self.name)
        self._convert()
        unknown = sorted(set(self.log_columns) - set(self.columns or ()))
        if unknown:
            raise ValueError(
                f"task {self.name!r}: log_columns {unknown} are not among its columns."
            )
        try:
            self._make_loss()
            self._check_columns()
            self._check_scale()
            check_threshold(self.threshold, self._described_together())
            for metric in self.metrics:
                check_metric(metric, self.described())
        except (ValueError, TypeError) as error:
            raise ValueError(f"task {self.name!r}: {error}") from error
        check_metric_names(self.name, self.metric_names)

    def _convert(self) -> None:
        """Converts sequences to tuples and the weight to a float, so that equal tasks are equal.

        Raises:
            ValueError: If a sequence is a string, which would be taken for a list of letters.
        """
        for field in ("metrics", "columns", "log_columns"):
            value = getattr(self, field)
            if isinstance(value, str):
                raise ValueError(f"task {self.name!r}: {field} is one string; put it in a list.")
            if field == "metrics":  # a class stands for its object with default arguments
                value = [metric() if isinstance(metric, type) else metric for metric in value]
            # The way around a frozen dataclass.
            object.__setattr__(self, field, value if value is None else tuple(value))
        object.__setattr__(self, "weight", check_weight(self.name, self.weight))
        object.__setattr__(self, "threshold", read_threshold(self.name, self.threshold))
        self._convert_scale()

    def _convert_scale(self) -> None:
        """Converts the name of a scale to the scale, and lets labels begin where it does."""
        scale = read_scale(self.name, self.scale)
        object.__setattr__(self, "scale", scale)
        labels = self.labels
        if scale is not None and scale.lowest is not None and labels is not None:
            low = scale.lowest if labels.low is None else max(scale.lowest, labels.low)
            object.__setattr__(self, "labels", dataclasses.replace(labels, low=low))

    @functools.cached_property
    def reading(self) -> Reading | None:
        """What the loss reads; `None` where shapes that are not known yet decide it."""
        loss = get_loss(self.loss)
        declared = declared_reading(loss, self.reads)
        shapes = assumed_shapes(self.head, self.labels, self.columns)
        if declared is not None or shapes is None:
            return declared
        try:
            return find_reading(loss, *shapes, self._labels_of_loss())
        except ValueError:  # the network may end in another shape
            return None

    def _labels_of_loss(self) -> Labels | None:
        """Returns the labels that the loss gets: scaled ones have no range."""
        if self.scale is None or self.labels is None:
            return self.labels
        return dataclasses.replace(self.labels, low=None, high=None)

    @property
    def reads_batch(self) -> bool:
        """Whether a value of the loss is known to depend on several examples."""
        if self.reading is None or self.reading.reads != "batch":
            return False
        return not self.reading.overlap or sums_over_batch(get_loss(self.loss))

    @property
    def ignored_label(self) -> float | None:
        """The label that the loss itself leaves out (`ignore_class`); `None` without one."""
        ignored: float | None = argument_of(get_loss(self.loss), "ignore_class")
        return ignored

    @property
    def loss_takes_means(self) -> bool:
        """Whether the loss may compare a prediction with a mean in the place of a label."""
        return not getattr(get_loss(self.loss), "is_likelihood", False)

    @property
    def has_last_axis(self) -> bool:
        """Whether labels have the last axis of the prediction."""
        return self.labels is not None and labels_have_last_axis(self.head, self.labels)

    @property
    def elementwise(self) -> bool:
        """Whether every entry of the prediction's last axis has a label of its own."""
        if self.columns is not None:
            return True
        return self.has_last_axis and self.reading is not None and self.reading.reads == "element"

    @property
    def prediction_ranks(self) -> tuple[int, ...]:
        """The numbers of axes that the prediction may have, by the labels; `()` if unknown."""
        if self.labels is None:
            return ()
        return ranks_of_prediction(self.head, self.labels, self.reading)

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
        return tuple(name for name, _ in self._modes())

    def output(self, features: Tensor) -> Tensor:
        """Ends a tower: maps `features` to the task's named float32 prediction."""
        return attach_head(self.head, features, self.name, self.scale)

    def make_loss(self) -> TaskLoss:
        """Returns a new loss: the mean over the valid labels of the global batch.

        Raises:
            ValueError: If the task has a scale that is not fitted.
        """
        check_fitted(self.name, self.scale)
        return self._make_loss()

    def _make_loss(self) -> TaskLoss:
        labels = self._labels_of_loss()
        return TaskLoss(
            get_loss(self.loss),
            self.elementwise,
            name=self.name,
            num_columns=len(self.columns or ()),
            reads=self.reads,
            label_range=(labels.low, labels.high) if labels else (None, None),
            scale=self.scale,
        )

    def _check_columns(self) -> None:
        if self.columns is not None and self.reading is not None:
            check_columns(self.reading)

    def _check_scale(self) -> None:
        if self.scale is not None:
            check_scale(self.scale, self.head, get_loss(self.loss), self.described())
            check_size(self.scale, self.scale_size)

    @property
    def scale_size(self) -> int:
        """The number of entries of the labels' last axis, each with a center of its own."""
        if self.columns is not None:
            return len(self.columns)
        if self.labels is None or not self.has_last_axis:
            return 1
        units: int = getattr(self.head, "units", 1)
        return self.labels.shape[-1] or units

    def fit_scale(self, labels: Any, sample_weight: Any = None) -> Self:
        """Returns this task with its scale fitted to the labels of training data.

        `keras_mtl.data.fit_scales` does so for all tasks and datasets.

        Args:
            labels: Labels `(examples, ...)` in their unit; NaN where one is missing.
            sample_weight: `None`, or weights with the first axes of the labels; a label with
                weight 0 does not count, and all others count once.

        Raises:
            ValueError: If the task has no scale, or the labels do not fit it.
        """
        statistics = self.label_statistics()
        statistics.add(labels, sample_weight)
        return dataclasses.replace(self, scale=statistics.fit())

    def label_statistics(self) -> LabelStatistics:
        """Returns empty statistics of labels, which the scale can be fitted by.

        Raises:
            ValueError: If the task has no scale.
        """
        if self.scale is None:
            raise ValueError(
                f"task {self.name!r} has no scale to fit; say which one: "
                f"Task.regression({self.name!r}, scale='standard')."
            )
        return LabelStatistics(self.name, self.scale, self.scale_size, self.columns)

    def make_metrics(self, *, prefix: str = "") -> list[keras.metrics.Metric]:
        """Returns new metrics over valid labels, the mean loss last.

        Args:
            prefix: Begins the name of every metric. Defaults to no prefix.
        """
        metrics: list[keras.metrics.Metric] = []
        output = self.described()
        for identifier in self.metrics:
            try:
                metric, reading = make_metric(identifier, output)
            except (ValueError, TypeError) as error:
                raise ValueError(f"task {self.name!r}: {error}") from error
            if self.columns:
                logged, cuts = self.log_columns, reading.cuts
                metrics += column_metrics(metric, self.columns, logged, prefix, cuts=cuts)
            else:
                metrics.append(TaskMetric(metric, reading, name=prefix + metric.name))
        return [*metrics, MeanLoss(self.make_loss(), name=f"{prefix}mean_loss")]

    def mode(self, metric: str) -> Mode | None:
        """Returns `"max"` or `"min"` for a metric of `metric_names`, or `None` if unknown."""
        return dict(self._modes())[metric]

    def _modes(self) -> list[tuple[str, Mode | None]]:
        """Returns the name of each metric, and whether it is better high or low."""
        modes: list[tuple[str, Mode | None]] = []
        output = self.described()
        for metric in self.metrics:
            mode = metric_mode(metric, output)
            names: Sequence[str] = (metric_name(metric),)
            if self.columns:
                known = mode is not None
                names = column_names(names[0], has_direction=known, logged=self.log_columns)
            modes += [(name, mode) for name in names]
        return modes

    def described(self) -> Output:
        """Returns what metrics have to know of the task's labels and prediction."""
        output = self._described_together()
        if self.threshold is not None:
            output = output.cut_at(self.threshold)
        return output.among(len(self.columns)) if self.columns else output

    def _described_together(self) -> Output:
        """Returns the description of all columns together, without the threshold."""
        columns = len(self.columns or ())
        return describe_output(self.head, get_loss(self.loss), self.labels, columns)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal task."""
        config = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        config["head"] = keras.saving.serialize_keras_object(self.head)
        config["loss"] = serialize_loss(self.loss)
        config["weight"] = value_of(self.weight)
        config["metrics"] = [serialize_metric(metric) for metric in self.metrics]
        config["labels"] = dataclasses.asdict(self.labels) if self.labels else None
        config["scale"] = keras.saving.serialize_keras_object(self.scale)
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Builds the task that `get_config` described."""
        config = dict(config)
        for key in ("head", "loss", "scale"):
            config[key] = keras.saving.deserialize_keras_object(config[key])
        config["metrics"] = [
            keras.saving.deserialize_keras_object(metric) for metric in config["metrics"]
        ]
        if config["labels"]:
            # JSON turns the tuples of the shape and of the names into lists.
            labels = config["labels"]
            tuples = {key: tuple(labels[key]) for key in ("shape", "names") if labels.get(key)}
            config["labels"] = Labels(**{**labels, "shape": (), **tuples})
        return cls(**config)
