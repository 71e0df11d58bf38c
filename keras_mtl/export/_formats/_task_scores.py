"""The predictions of an artifact, scored and compared with those of the reference."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import scipy.special
import sklearn.metrics

from keras_mtl._tasks import Task
from keras_mtl.export._formats._calibration import Calibration
from keras_mtl.export._formats._differences import Array, differences


class TaskScores:
    """Gathers what one artifact predicts for one task.

    Args:
        task: The task.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        output = task.described()
        metrics = task.make_metrics()
        # Without a metric of its own, a task is scored by its mean loss.
        self._metric = next((m for m in metrics if m.name in task.metric_names), metrics[-1])
        self.metric_name = str(self._metric.name)
        self.mode = "min" if self.metric_name == "mean_loss" else task.mode(self.metric_name)
        self._is_logits = output.logits
        self._is_yes_no = output.kind == "yes or no"
        self._calibration = Calibration()
        self._changes: list[Array] = []
        self._entries: list[Array] = []  # labels, predictions and weights, for an exact AUC
        self._num_labels = 0

    def add(self, labels: Array, weights: Array, prediction: Array, reference: Array) -> None:
        """Adds the predictions of a batch.

        Args:
            labels: Of the task, missing ones with weight 0.
            weights: Of the labels.
            prediction: Of the artifact.
            reference: Of the reference.
        """
        self._changes.append(differences(reference, prediction).astype("float32").ravel())
        self._num_labels += int(np.count_nonzero(weights))
        if self._is_yes_no:
            y, w = (_broadcast(values, prediction) for values in (labels, weights))
            p = scipy.special.expit(prediction) if self._is_logits else prediction
            self._calibration.add(y, p, w)
            self._entries.append(np.stack([y, prediction, w]).reshape(3, -1))
        self._metric.update_state(labels, keras.ops.convert_to_tensor(prediction), weights)

    def results(self) -> Mapping[str, Any]:
        """Returns the score, the calibration error and the changes; NaN for what has no labels."""
        changes = np.concatenate(self._changes)
        return {
            "score": self._score() if self._num_labels else float("nan"),
            "ece": self._calibration.error(),
            "largest_change": float(changes.max(initial=0.0)),
            "usual_change": float(np.quantile(changes, 0.999, method="higher")),
        }

    def _score(self) -> float:
        if self._is_yes_no and self.metric_name == "auc" and "auc" in self._task.metrics:
            # That of the logs counts thresholds, and is off by some 1e-4 where predictions are
            # close together: as much as a quantized file may move.
            labels, predictions, weights = np.concatenate(self._entries, axis=1)
            known = (weights > 0) & np.isfinite(predictions)
            if np.unique(labels[known]).size < 2:
                return float("nan")
            return float(
                sklearn.metrics.roc_auc_score(
                    labels[known], predictions[known], sample_weight=weights[known]
                )
            )
        return float(self._metric.result())


def _broadcast(values: Array, prediction: Array) -> Array:
    """Returns labels or weights in the shape of the predictions."""
    return np.broadcast_to(
        values.reshape(values.shape + (1,) * (prediction.ndim - values.ndim)), prediction.shape
    )
