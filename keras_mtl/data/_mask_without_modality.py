"""Rows without any modality, which teach nothing."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from keras_mtl._tasks import Task, check_tasks
from keras_mtl.data._changes._check import label_weights
from keras_mtl.data._elements._element import read_element


def mask_without_modality(
    dataset: tf.data.Dataset, tasks: Sequence[Task], flags: Sequence[str]
) -> tf.data.Dataset:
    """Gives the weight 0 to rows that have none of their modalities.

    Such a row reaches `architectures.multimodal` as learned vectors alone, so that its labels would
    teach what is usual, and not what follows from an input. Masked, it counts in no loss and no
    metric. The network still answers such a row when it is served, with numbers that say nothing:
    refuse it there. `multimodal(dropout_of_all=...)` is the other way: it teaches the network to
    answer with what is usual.

    Choose it before training where all modalities may be missing at once; where one of them has no
    flag, it is always there, and there is nothing to mask.

    Args:
        dataset: Batches or single examples of `(x, y)` or `(x, y, w)`, with inputs as a dict.
        tasks: The tasks.
        flags: The names of the inputs that say which modality is there (above 0), those of all
            modalities: `["image_present", "table_present"]`.

    Returns:
        A dataset of `(x, y, w)` of the same cardinality. Weights that it has already are kept.

    Raises:
        ValueError: If no flag is named, or one is no input, or no number per row.

    Example:
        >>> x = {"a": [1.0, 2.0], "a_present": [1.0, 0.0], "b": [3.0, 4.0], "b_present": [0.0, 0.0]}
        >>> dataset = tf.data.Dataset.from_tensors((x, {"ill": [1.0, 0.0]}))
        >>> tasks = [Task.binary("ill")]
        >>> _, _, w = next(iter(mask_without_modality(dataset, tasks, ["a_present", "b_present"])))
        >>> w["ill"].numpy().tolist()
        [1.0, 0.0]
    """
    tasks = check_tasks(tasks)
    flags = [flags] if isinstance(flags, str) else list(flags)
    element = read_element(dataset, tasks)
    inputs = element.inputs if isinstance(element.inputs, Mapping) else {}
    unknown = [flag for flag in flags if flag not in inputs]
    if unknown or not flags:
        raise ValueError(
            "flags must name the inputs that say which modality is there, one at least; received "
            f"{flags}, and inputs are {sorted(inputs) or 'no dict'}."
        )
    ranks = {inputs[flag].shape.rank for flag in flags}
    if len(ranks) > 1 or not ranks <= {0, 1}:
        shapes = {flag: inputs[flag].shape for flag in flags}
        raise ValueError(f"flags must hold one number per row, (batch,); received {shapes}.")

    def mask(x: Any, y: Mapping[str, Any], w: Mapping[str, Any] | None = None) -> Any:
        is_there = tf.reduce_any(tf.stack([tf.cast(x[flag], tf.float32) > 0 for flag in flags]), 0)
        weights = label_weights(y, w, tasks)
        for name, weight in weights.items():
            factor = is_there
            for _ in range(weight.shape.rank - is_there.shape.rank):
                factor = factor[..., tf.newaxis]
            # No product: a weight may be NaN beside a missing label.
            weights[name] = tf.where(factor, weight, tf.zeros_like(weight))
        return x, y, weights

    return dataset.map(tf.autograph.experimental.do_not_convert(mask))
