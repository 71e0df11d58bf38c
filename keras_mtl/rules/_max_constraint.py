"""The loss of a task whose labels form a hierarchy."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_mtl._keras_internals import logits_of
from keras_mtl._types import Tensor

_FAR = 1e4  # a logit whose loss is 0 in float32, and its square finite


@keras.saving.register_keras_serializable(package="keras_mtl")
class MaxConstraint(keras.losses.Loss):
    """Trains the labels of a hierarchy, of which each is the maximum of its own and all below.

    With the probabilities h, the labels y, and D_a the label a with all below it, the loss of a row
    is the mean over its labels a of

        -y_a log max_{d in D_a} (y_d h_d) - (1 - y_a) log(1 - max_{d in D_a} h_d)

    A positive label is credited to what is below it and positive too, and not to what is below it
    and false: plain cross-entropy of the maxima would raise those as well. Serve the maxima:
    `export.with_rules(network, [rules.hierarchy({"topic.1": "topic.0", ...})])`.

    Choose it for `Task.multilabel(name, n, loss=rules.MaxConstraint(...))` where the labels of a
    row are known all together; a row with one label missing is left out. For levels that are
    labeled in different rows, use `rules.hierarchy`.

    Args:
        parents: The parent, or parents, of each label that has some, by position among the labels.
        num_labels: The number of labels.
        name: Optional name.

    Raises:
        ValueError: If a position is none, or a label stands above itself.

    Example:
        >>> import keras_mtl as mtl
        >>> loss = MaxConstraint({1: 0, 2: 0}, 3)
        >>> row = loss([[1.0, 0.0, 1.0]], ops.array([[0.3, 0.6, 0.2]]))
        >>> round(float(row), 4)
        1.2432
        >>> task = mtl.Task.multilabel("topic", 3, loss=loss)

    Reference:
        Giunchiglia and Lukasiewicz 2020 (C-HMCNN), arXiv:2010.10151. The paper's code makes an
        array of batch x labels x labels in float64; here maxima are taken over the pairs of a label
        and one below it alone, and of logits, where Keras knows them.
    """

    reads = "last axis"
    label_kind = "yes or no"

    def __init__(
        self,
        parents: Mapping[int | str, int | Sequence[int]],
        num_labels: int,
        *,
        name: str | None = "max_constraint",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.num_labels = int(num_labels)
        # Keys of a saved configuration are texts.
        self.parents = {
            int(child): [above] if isinstance(above, int) else [*map(int, above)]
            for child, above in parents.items()
        }
        known = range(self.num_labels)
        wrong = [
            position
            for child, above in self.parents.items()
            for position in (child, *above)
            if position not in known
        ]
        if wrong:
            raise ValueError(
                f"{self.name}: parents names the labels {sorted(set(wrong))}; expected positions "
                f"from 0 to {self.num_labels - 1}."
            )
        pairs = [(a, d) for a in known for d in self._all_below(a)]
        self._above, self._below = (np.array(side, "int32") for side in zip(*pairs, strict=True))

    def _all_below(self, label: int) -> list[int]:
        """Returns a label and all below it.

        Raises:
            ValueError: If it stands below itself.
        """
        names, pending = {label}, [label]
        while pending:
            parent = pending.pop()
            children = {child for child, above in self.parents.items() if parent in above}
            if label in children:
                raise ValueError(f"{self.name}: label {label} stands above itself in parents.")
            pending.extend(children - names)
            names |= children
        return sorted(names)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Returns the loss of each row."""
        logits = logits_of(y_pred)
        if logits is None:
            tiny = 1e-37
            sure, unsure = ops.maximum(y_pred, tiny), ops.maximum(1.0 - y_pred, tiny)
            logits = ops.log(sure) - ops.log(unsure)
        labels = ops.cast(y_true, logits.dtype)
        # Maxima of logits are those of probabilities. [pairs, rows]
        below = ops.take(ops.transpose(logits), self._below, axis=0)
        is_true = ops.take(ops.transpose(labels), self._below, axis=0) > 0
        largest = self._maxima(below)
        credited = self._maxima(ops.where(is_true, below, -_FAR))
        labels = ops.transpose(labels)
        losses = labels * ops.softplus(-credited) + (1.0 - labels) * ops.softplus(largest)
        return ops.mean(losses, axis=0)

    def _maxima(self, values: Tensor) -> Tensor:
        """Returns the largest value of each label's pairs, `[labels, rows]`."""
        return ops.segment_max(values, self._above, self.num_labels)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal loss."""
        return {"parents": self.parents, "num_labels": self.num_labels, **super().get_config()}
