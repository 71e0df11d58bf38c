"""What labels would change in the last layers of a network (BADGE)."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_mtl._keras_internals import node_of
from keras_mtl._tasks import Task
from keras_mtl._types import Tensor
from keras_mtl.active._asking._kinds import distributions
from keras_mtl.active._asking._networks import Batches, predictor, read_outputs
from keras_mtl.active._asking._questions import list_questions
from keras_mtl.active._gradient_embedding import GradientEmbedding


def gradient_embeddings(
    network: keras.Model, rows: Any, tasks: Sequence[Task], *, batch_size: int = 256
) -> dict[str, GradientEmbedding]:
    """Computes what the likeliest label of each row would change in the last layer of its task.

    With the prediction p, the likeliest label y and the features h that the last layer reads:

        g = (p - onehot(y)) x h

    the gradient of the cross-entropy with respect to the kernel of a `Dense` layer with softmax or
    sigmoid. It is long where the network is in doubt, and points to what it is in doubt about, so
    that `active.choose` draws labels that are doubtful and differ from each other.

    Choose it for large batches of labels (a hundred and more at once), which `margin` fills with
    rows that are much alike. On ten digits with 20 labels at a time it was no better than `margin`
    (`benchmarks/regimes_active.py`).

    Args:
        network: A functional network, with an output per task; or its `BalancedModel`.
        rows: Inputs, as those of `active.score`.
        tasks: Tasks of one label per row (a class, or yes or no), or with columns.
        batch_size: The number of rows per batch of arrays. Defaults to `256`.

    Returns:
        The gradients by task, or by `"task.column"`.

    Raises:
        TypeError: If the network does not show its graph.
        ValueError: If a task predicts no class, or one for each token; the layer that computes its
            prediction does not read one row of features; or an input is NaN or infinite.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.multiclass("topic", 3), mtl.Task.binary("spam")]
        >>> network = mtl.architectures.hard_sharing(keras.Input((4,)), tasks, shared=(8,))
        >>> gradients = gradient_embeddings(network, np.ones((5, 4)), tasks)
        >>> gradients["topic"].errors.shape, len(gradients["spam"])
        ((5, 3), 5)

    Reference:
        Ash et al. 2020, arXiv:1906.03671. The number of classes is that of the prediction, also
        if the labels bought so far have fewer (the authors' code counts those of the labels).
    """
    network, outputs = read_outputs(network, tasks)
    for task in tasks:
        _check(task, outputs[task.name])
    features = {f"{task.name}/features": _features(task, outputs[task.name]) for task in tasks}
    predict = predictor(network, outputs | features)
    errors: dict[str, list[Any]] = {task.name: [] for task in tasks}
    read: dict[str, list[Any]] = {task.name: [] for task in tasks}
    for inputs in Batches(network, rows, batch_size):
        predictions = predict(inputs)
        for task in tasks:
            errors[task.name].append(_errors(task, predictions[task.name]))
            read[task.name].append(np.asarray(predictions[f"{task.name}/features"], "float64"))
    return {
        name: GradientEmbedding(
            _part(np.concatenate(errors[task.name]), column), np.concatenate(read[task.name])
        )
        for name, (task, column) in list_questions(tasks).items()
    }


def _part(errors: Any, column: int | None) -> Any:
    return errors if column is None else errors[:, column : column + 1]


def _errors(task: Task, prediction: Any) -> Any:
    """Returns predictions minus the likeliest labels, `[rows, classes]`; of yes alone."""
    chances = distributions(task, prediction)
    likeliest = np.eye(chances.shape[-1])[chances.argmax(axis=-1)]
    errors = chances - likeliest
    return errors[..., 1] if task.described().kind == "yes or no" else errors


def _check(task: Task, output: Tensor) -> None:
    """Checks that a task predicts one class per row.

    Raises:
        ValueError: If it does not.
    """
    kind = task.described().kind
    if kind not in ("yes or no", "class", "one-hot", "distribution"):
        raise ValueError(
            f"task {task.name!r}: gradient embeddings need a likeliest label, and the prediction "
            f"is of the kind {kind!r}. Score it by rule='bald', or leave it out."
        )
    if len(output.shape) != 2:
        raise ValueError(
            f"task {task.name!r}: gradient embeddings need one prediction per row, and it has the "
            f"shape {tuple(output.shape)}. Score it by rule='margin'."
        )


def _features(task: Task, output: Tensor) -> Tensor:
    """Returns what the last layer with variables reads on the way to an output.

    Raises:
        ValueError: If there is no such layer, or it reads several tensors, or no row of features.
    """
    node = node_of(output)
    while not node.is_input and not getattr(node.operation, "trainable_variables", ()):
        if len(node.input_tensors) != 1:
            break
        node = node_of(node.input_tensors[0])
    tensors = [] if node.is_input else node.input_tensors
    if len(tensors) != 1 or len(tensors[0].shape) != 2:
        raise ValueError(
            f"task {task.name!r}: its prediction is computed by {node.operation.name!r}, which "
            f"reads tensors of the shapes {[tuple(tensor.shape) for tensor in tensors]}; gradient "
            "embeddings need a last layer that reads one row of features. Score it by "
            "rule='margin'."
        )
    return tensors[0]
