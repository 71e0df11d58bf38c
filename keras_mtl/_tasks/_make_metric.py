"""New metrics for the names, objects and functions that a task is given."""

import dataclasses
import functools
import weakref
from typing import Any, Literal, NamedTuple

import keras
import numpy as np

from keras_mtl._keras_internals import build_metric, direction_of, function_of
from keras_mtl._replicas import num_replicas
from keras_mtl._tasks._copied_metric import copy_metric
from keras_mtl._tasks._f_score import cut_single_entries
from keras_mtl._tasks._known_metrics import known_function, known_of, read_known
from keras_mtl._tasks._metric_reading import MetricReading
from keras_mtl._tasks._named_metrics import cuts_before, named_metric
from keras_mtl._tasks._output import Output
from keras_mtl._tasks._own_metrics import is_own, read_own
from keras_mtl._tasks._probed_metrics import probe_metric, takes_values

Mode = Literal["min", "max"]
"""Whether a metric is better low or high, in the word of Keras's callbacks."""

_BETTER: dict[str | None, Mode] = {"up": "max", "down": "min"}
_PROBED: weakref.WeakKeyDictionary[Any, dict[Output, MetricReading]] = weakref.WeakKeyDictionary()
"""What users' metrics and functions read, which takes a tenth of a second to find out."""


class ReadMetric(NamedTuple):
    """Holds a new metric for a task, and what it reads."""

    metric: keras.metrics.Metric
    reading: MetricReading


def make_metric(identifier: Any, output: Output) -> ReadMetric:
    """Returns a new metric for a name, a metric object or a function, and what it reads.

    Args:
        identifier: A name of this package (`"auc"`) or of Keras (`"mae"`); a
            `keras.metrics.Metric`, of which an equal copy without state is returned; or a
            function of labels and predictions, which is averaged.
        output: The task's labels and prediction.

    Raises:
        ValueError: If the name is unknown, or the metric is not for such a task.
        TypeError: If `identifier` is none of these, or its `update_state` does not take labels
            and predictions.
    """
    cuts: tuple[float, ...] = ()
    if isinstance(identifier, str):
        cuts = cuts_before(identifier, output)
        output = output.of_decisions() if cuts else output
        metric = named_metric(identifier, output)
    elif isinstance(identifier, keras.metrics.Metric):
        metric = copy_metric(identifier)
    else:
        metric = _wrap(identifier)
    cut_single_entries(metric, output.width)
    reading = dataclasses.replace(_read(metric, output, identifier), cuts=cuts)
    if known_of(metric) is not None and output.width is not None:
        rows = np.zeros((2, output.width), "float32")
        build_metric(metric, rows, rows)
    return ReadMetric(metric, reading)


def check_metric(identifier: Any, output: Output) -> None:
    """Checks that `make_metric` knows the metric, and that it is for such a task."""
    if isinstance(identifier, str):
        _direction_by_name(identifier, output)
    elif not isinstance(identifier, keras.metrics.Metric):
        _read(_wrap(identifier), output, identifier)
    # Keras's Mean and Sum take no labels; they are refused when they are to count some.
    elif not takes_values(identifier):
        _read(identifier, output, identifier)


def metric_name(identifier: Any) -> str:
    """Returns the name of the metric that `make_metric` returns.

    Raises:
        TypeError: If `identifier` is neither a name nor a metric nor a function with a name.
    """
    if isinstance(identifier, str):
        return identifier
    if isinstance(identifier, keras.metrics.Metric):
        return str(identifier.name)
    name = getattr(identifier, "__name__", None)
    if not callable(identifier) or isinstance(identifier, type):
        raise TypeError(
            "a metric is a name, a keras.metrics.Metric or a function of labels and predictions; "
            f"received {identifier!r} of type {type(identifier).__name__}"
        )
    if not isinstance(name, str) or not name.isidentifier():
        raise TypeError(
            f"the function {identifier!r} has no name for the logs; write it with def, or pass "
            "keras.metrics.MeanMetricWrapper(function, name='...')"
        )
    return name


def metric_mode(identifier: Any, output: Output) -> Mode | None:
    """Returns `"max"` or `"min"` for a metric; `None` where Keras does not say."""
    if isinstance(identifier, str):
        return _BETTER.get(_direction_by_name(identifier, output))
    metric = identifier if isinstance(identifier, keras.metrics.Metric) else _wrap(identifier)
    return _BETTER.get(direction_of(metric))


@functools.lru_cache(maxsize=4096)
def _direction_by_name(name: str, output: Output) -> str | None:
    """Returns a metric's direction; once per name and task, since a metric makes variables."""
    return direction_of(make_metric(name, output).metric)


def _wrap(function: Any) -> keras.metrics.Metric:
    return keras.metrics.MeanMetricWrapper(function, name=metric_name(function))


def _read(metric: keras.metrics.Metric, output: Output, source: Any) -> MetricReading:
    """Returns what a metric reads; a user's metric, made from `source`, is tried once.

    Raises:
        ValueError: If the metric is not for such a task.
        TypeError: If its `update_state` does not take labels and predictions.
    """
    if is_own(metric):
        return read_own(metric, output)
    known = known_of(metric)
    if known is None and type(metric) is keras.metrics.MeanMetricWrapper:
        known = known_function(function_of(metric))
    if known is not None:
        return read_known(metric, known, output)
    if output.kind == "survival":
        return _read_rows(metric)
    probed = _PROBED.setdefault(source, {})
    if output not in probed:
        probed[output] = probe_metric(lambda: copy_metric(metric), output)
    reading = probed[output]
    if num_replicas() > 1 and not reading.adds_up:
        raise ValueError(
            f"metric {metric.name!r} ({type(metric).__name__}) keeps state that does not add up "
            "over replicas, such as a largest value, and Keras would add it up; count sums and "
            "counts instead, or evaluate on one device"
        )
    if output.copies > 1 and (reading.drops or reading.reads not in ("element", "last axis")):
        raise ValueError(
            f"metric {metric.name!r} ({type(metric).__name__}) cannot be computed for many columns "
            "at once: its update_state has to take sample_weight, and to leave out what has "
            "sample_weight 0"
        )
    return reading


def _read_rows(metric: keras.metrics.Metric) -> MetricReading:
    """Returns what a user's metric of times and events reads.

    Raises:
        ValueError: If it does not say that it reads rows.
    """
    said = getattr(metric, "reads", getattr(function_of(metric), "reads", None))
    if said != "row":
        raise ValueError(
            f"metric {metric.name!r} ({type(metric).__name__}) is for a task whose labels are "
            "times with events; give it an attribute reads = 'row', and it gets labels (rows, 2), "
            "predictions and a sample_weight per row, or take 'concordance'"
        )
    return MetricReading("row")
