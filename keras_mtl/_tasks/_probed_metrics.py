"""The metrics of users: what each of them reads, found out by trying it on made-up labels."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_mtl._keras_internals import arguments_of_function, function_of
from keras_mtl._tasks._metric_reading import (
    MetricInputs,
    MetricReading,
    MetricReads,
    check_metric_reads,
)
from keras_mtl._tasks._output import Output

_ROWS, _STEPS = 17, 5
"""Of 17 rows, the 8 with a weight have another share of anything than all, but 0 and 1."""

Copy = Callable[[], keras.metrics.Metric]


def probe_metric(copy: Copy, output: Output) -> MetricReading:
    """Returns what a user's metric reads of a task.

    Tries in turn: single labels as good as rows of them; positions as good as a long batch; and
    whether a label without a weight changes the result.

    Args:
        copy: Returns a new copy of the metric.
        output: The task's labels and prediction.

    Raises:
        TypeError: If `update_state` does not take labels and predictions.
        ValueError: If the metric fails on labels and predictions of such a task, or if labels
            without a weight count in it and cannot be taken out.
    """
    metric = copy()
    what = f"metric {metric.name!r} ({_class_name(metric)})"
    weighted = _takes_weights(metric, what)
    said = getattr(metric, "reads", getattr(function_of(metric), "reads", None))
    probes = [_Probe(copy, output, weighted, seed) for seed in range(2)]
    try:
        _check_function(function_of(metric), metric, probes[0])
        reads = probes[0].find_reads() if said is None else check_metric_reads(said)
        obeys = all(probe.obeys_weights(reads) for probe in probes)
        adds_up = probes[0].adds_up(reads)
    except (ValueError, TypeError) as error:
        raise type(error)(f"{what} {error}") from error
    if not obeys and reads in ("batch", "list", "column"):
        raise ValueError(
            f"{what} lets labels count that have no weight, that is missing labels and masked "
            "positions: its update_state has to leave out what has sample_weight 0"
        )
    return MetricReading(reads, weighted=weighted, drops=not obeys, adds_up=adds_up)


def _check_function(
    function: Callable[..., Any] | None, metric: keras.metrics.Metric, probe: "_Probe"
) -> None:
    """Checks that a function of labels and predictions returns a value for each example."""
    if function is None:
        return
    values = function(
        ops.convert_to_tensor(probe.labels),
        ops.convert_to_tensor(probe.predictions),
        **arguments_of_function(metric),
    )
    if len(values.shape) == 0 or values.shape[0] != _ROWS:
        raise ValueError(
            f"returns the shape {tuple(values.shape)} for {_ROWS} examples, so that missing "
            "labels cannot be left out; return one value for each example, or write a "
            "keras.metrics.Metric that counts over all batches"
        )


class _Probe:
    """Runs copies of a metric on made-up labels of a task.

    Args:
        copy: Returns a new copy of the metric.
        output: The task's labels and prediction.
        weighted: Whether `update_state` takes a `sample_weight`.
        seed: Of the labels and predictions.
    """

    def __init__(self, copy: Copy, output: Output, weighted: bool, seed: int) -> None:
        self.copy, self.weighted = copy, weighted
        self.width = output.width or (3 if output.kind in ("class", "one-hot") else 1)
        self.is_sparse = output.kind in ("class", "quantiles")
        self.positions = 1 if output.positions is None else output.positions
        shape = (_ROWS, *((_STEPS,) * self.positions))
        self.labels, self.predictions = _made_up(output, shape, self.width, seed)

    def find_reads(self) -> MetricReads:
        """Returns what the metric reads together."""
        whole, flat = self._try("batch"), self._try("last axis")
        if self.positions and whole is not None and not _equal(flat, whole):
            return "batch"
        alone = None if self.is_sparse or self.width == 1 else self._try("element")
        if alone is not None and (flat is None or _equal(alone, flat)):
            return "element"
        self._must(flat)
        return "last axis"

    def obeys_weights(self, reads: MetricReads) -> bool:
        """Returns whether labels without a weight change nothing, whatever they are."""
        if not self.weighted:
            return False
        keep = np.ones(self.labels.shape, "float32")
        keep[::2] = 0.0
        filled = np.where(keep > 0, self.labels, 0).astype(self.labels.dtype)
        other = np.where(keep > 0, self.labels, self.labels[::-1]).astype(self.labels.dtype)
        rows = slice(1, None, 2)
        expected = self._must(
            self._try(reads, self.labels[rows], self.predictions[rows], keep[rows])
        )
        # Missing labels are filled with zeros, which may be no label at all for the metric.
        results = [self._try(reads, labels, weights=keep) for labels in (filled, other)]
        obeys = all(_equal(result, expected) for result in results)
        return obeys and (reads != "batch" or self._obeys_masks())

    def _obeys_masks(self) -> bool:
        """Returns whether positions without a weight change nothing, whatever their labels are."""
        if not self.positions:
            return True
        keep = np.ones(self.labels.shape, "float32")
        keep[:, ::2] = 0.0
        other = np.where(keep > 0, self.labels, self.labels[::-1]).astype(self.labels.dtype)
        return _equal(*(self._try("batch", y, weights=keep) for y in (self.labels, other)))

    def adds_up(self, reads: MetricReads) -> bool:
        """Returns whether the states of two halves of the rows add up to that of all rows."""
        half = _ROWS // 2
        parts = (slice(None, half), slice(half, None))
        try:
            both, first, second, none = (
                self._state(reads, rows) for rows in (parts, parts[:1], parts[1:], ())
            )
        except Exception:  # such as in an update_state that is a tf.function
            return True
        return all(
            _equal(total, one + other - initial)
            for total, one, other, initial in zip(both, first, second, none, strict=True)
        )

    def _state(self, reads: MetricReads, parts: Sequence[slice]) -> list[Any]:
        """Returns the variables that replicas add up, after some parts of the rows."""
        metric = self.copy()
        with keras.StatelessScope() as scope:
            for rows in parts or (slice(None),):
                inputs = MetricReading(reads).lay_out(self.labels[rows], self.predictions[rows])
                update(metric, inputs, self.weighted)
            values = [(v, scope.get_current_value(v)) for v in metric.variables]
        summed = [(v, value) for v, value in values if v.aggregation == "sum"]
        # Without parts, the variables are those before the update, which was not to count.
        return [(v if value is None or not parts else value).numpy() for v, value in summed]

    def _try(
        self, reads: MetricReads, labels: Any = None, predictions: Any = None, weights: Any = None
    ) -> Any:
        """Returns the result on some labels, or all of them; `None` if the metric fails."""
        labels = self.labels if labels is None else labels
        predictions = self.predictions if predictions is None else predictions
        try:
            return self._run(reads, labels, predictions, weights)
        except Exception as error:  # whatever a user's metric raises
            self.error = error
            return None

    def _must(self, result: Any) -> Any:
        """Returns the result if there is one.

        Raises:
            ValueError: If the metric failed.
        """
        if result is not None:
            return result
        raise ValueError(
            f"fails on labels {self.labels.shape} and predictions {self.predictions.shape}: "
            f"{type(self.error).__name__}: {self.error}"
        )

    def _run(self, reads: MetricReads, labels: Any, predictions: Any, weights: Any) -> Any:
        labels, predictions = ops.convert_to_tensor(labels), ops.convert_to_tensor(predictions)
        inputs = MetricReading(reads).lay_out(labels, predictions, weights)
        try:
            # Nothing is assigned: in the scope of a strategy it could not be.
            with keras.StatelessScope():
                return _result(self.copy(), inputs, self.weighted)
        except Exception:  # such as in an update_state that is a tf.function
            return _result(self.copy(), inputs, self.weighted)


def _result(metric: keras.metrics.Metric, inputs: MetricInputs, weighted: bool) -> Any:
    update(metric, inputs, weighted)
    values = keras.tree.flatten(metric.result())
    return np.concatenate([np.ravel(ops.convert_to_numpy(value)) for value in values])


def update(metric: keras.metrics.Metric, inputs: MetricInputs, weighted: bool) -> None:
    """Calls `update_state`, with weights if it takes some."""
    arguments = {"sample_weight": inputs.weights} if weighted else {}
    metric.update_state(inputs.labels, inputs.predictions, **arguments)


def takes_values(metric: keras.metrics.Metric) -> bool:
    """Returns whether `update_state` takes values and their weights, as Keras's Mean and Sum do."""
    return [*inspect.signature(metric.update_state).parameters][1:2] == ["sample_weight"]


def _takes_weights(metric: keras.metrics.Metric, what: str) -> bool:
    """Returns whether `update_state` takes a `sample_weight`.

    Raises:
        TypeError: If it does not take labels and predictions.
    """
    signature = inspect.signature(metric.update_state)
    for arguments in () if takes_values(metric) else ({"sample_weight": None}, {}):
        try:
            signature.bind(None, None, **arguments)
        except TypeError:
            continue
        return bool(arguments)
    raise TypeError(
        f"{what} takes {signature} in update_state; metrics of tasks take "
        "(y_true, y_pred, sample_weight=None). To average a function of labels and predictions, "
        "pass the function itself"
    )


def _made_up(output: Output, shape: tuple[int, ...], width: int, seed: int) -> tuple[Any, Any]:
    """Returns labels, and predictions that are right more often than not, as a task has them."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(*shape, width))
    if output.kind in ("class", "one-hot", "distribution"):
        classes = rng.integers(0, width, shape)
        labels = classes if output.kind == "class" else np.eye(width)[classes]
        predictions = noise + 3.0 * np.eye(width)[classes]
        if not output.logits:
            predictions = np.exp(predictions) / np.exp(predictions).sum(-1, keepdims=True)
    elif output.kind == "yes or no":
        labels = rng.integers(0, 2, noise.shape)
        predictions = noise + 3.0 * labels - 1.5
        if not output.logits:
            predictions = 1 / (1 + np.exp(-predictions))
    elif output.kind == "quantiles":
        labels = rng.uniform(0.5, 2.0, shape)
        predictions = np.sort(labels[..., None] * np.exp(noise / 4), axis=-1)
    else:
        # Positive, so that logarithms and roots exist.
        labels = rng.uniform(0.5, 2.0, noise.shape)
        predictions = labels * np.exp(noise / 4)
    kind = "int32" if output.kind == "class" else "float32"
    return labels.astype(kind), predictions.astype("float32")


def _equal(first: Any, second: Any) -> bool:
    """Returns whether two results are the same numbers."""
    if first is None or second is None or np.shape(first) != np.shape(second):
        return False
    return bool(np.allclose(first, second, rtol=1e-4, atol=1e-5, equal_nan=True))


def _class_name(metric: keras.metrics.Metric) -> str:
    function = function_of(metric)
    return type(metric).__name__ if function is None else getattr(function, "__name__", "function")
