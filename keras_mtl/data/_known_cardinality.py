"""The number of batches of a dataset, counted and stated."""

import tensorflow as tf


def known_cardinality(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Counts the batches of a dataset once, and states their number to Keras.

    With an unknown number of batches (after `filter`, `from_generator`, `interleave`,
    `unbatch`, `sample_from_datasets`, TFRecords) Keras 3.15 on TensorFlow reaches the end of the
    data inside the train step, after the optimizer has already counted the step. Each epoch then
    adds a step to `optimizer.iterations`, decays the weights once more, and shrinks the logged
    losses of the tasks. No error tells so (docs/keras_notes.md, F1).

    Counting reads the data once. Where that takes too long, or the number of batches changes
    from epoch to epoch, use `dataset.repeat()` and `fit(steps_per_epoch=...)` instead.

    Args:
        dataset: Any finite or infinite dataset.

    Returns:
        The dataset with a known number of batches; the very same dataset where the number is
        known already, or infinite.

    Example:
        >>> odd = tf.data.Dataset.range(5).filter(lambda number: number % 2 == 1)
        >>> int(odd.cardinality()), int(known_cardinality(odd).cardinality())
        (-2, 2)
    """
    if dataset.cardinality() != tf.data.UNKNOWN_CARDINALITY:
        return dataset
    batches = dataset.reduce(tf.constant(0, tf.int64), lambda count, _: count + 1)
    return dataset.apply(tf.data.experimental.assert_cardinality(batches))
