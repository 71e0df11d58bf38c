"""Losses of lists, whose items may be missing one by one."""

import abc
from typing import Any, ClassVar

import keras
from keras import ops

from keras_mtl._tasks._label_weights import unit_weights
from keras_mtl._tasks._reading import Reading
from keras_mtl._types import Tensor

_NEVER = -1e30  # a logarithm of 0 with a finite gradient


class ListLoss(keras.losses.Loss, abc.ABC):
    """Compares the scores of the items of a list with their relevances.

    Subclasses define `of_lists`, which is told which items are there: an item without a weight is
    in no pair, no sum and no order.

    Call arguments:
        y_true: Relevances of at least 0, `(batch, items)` or `(batch, items, 1)`.
        y_pred: Scores of the same shape.
    """

    label_kind: ClassVar[str] = "scores"
    reading: ClassVar[Reading] = Reading("example", lists=True)

    @abc.abstractmethod
    def of_lists(self, labels: Tensor, scores: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Computes the loss of each list of `valid` items.

        Args:
            labels: Relevances `[batch, items]`; 0 for an item that is not there.
            scores: Scores `[batch, items]`.
            valid: Which items are there, booleans `[batch, items]`.

        Returns:
            The loss of each list `[batch]`, and whether the list has something to compare.
        """

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Computes the loss of each list, all of whose items are there."""
        labels, scores = read_lists(y_true, y_pred)
        return self.of_lists(labels, scores, ops.ones_like(scores, dtype="bool"))[0]

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal loss."""
        return {"name": self.name}


def as_lists(values: Tensor) -> Tensor:
    """Returns float32 values `[batch, items]`.

    Raises:
        ValueError: If they have other axes.
    """
    values = ops.cast(values, "float32")
    if len(values.shape) == 3 and values.shape[-1] == 1:
        values = values[..., 0]
    if len(values.shape) != 2:
        raise ValueError(
            f"received the shape {tuple(values.shape)}; expected one number per item of a list, "
            "(batch, items) or (batch, items, 1)."
        )
    return values


def read_lists(y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
    """Returns relevances and scores `[batch, items]`.

    Raises:
        ValueError: If they have other axes, or another number of items: one score would otherwise
            stand for all items of a list, without a word.
    """
    labels, scores = as_lists(y_true), as_lists(y_pred)
    sizes = labels.shape[1], scores.shape[1]
    if None not in sizes and sizes[0] != sizes[1]:
        raise ValueError(
            f"a list has {sizes[0]} labels and {sizes[1]} scores; expected one score per item, "
            "from features (batch, items, units)."
        )
    return labels, scores


def total_of_lists(
    loss: ListLoss, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Computes a loss of lists from the items that are there.

    A list weighs as much as its items do on average.

    Args:
        loss: The loss.
        y_true: Labels of this replica.
        y_pred: Predictions of this replica, with a mask of the items or without.
        sample_weight: `None`, or weights of lists `(batch,)` or items; 0 where one is missing.

    Returns:
        The sum of the losses times their weights, and the sum of the weights.
    """
    weights = unit_weights(2, y_pred, sample_weight)
    labels, scores = read_lists(y_true, y_pred)
    factors = ops.ones_like(scores)
    factors = factors if weights is None else factors * weights
    valid = ops.not_equal(factors, 0.0)
    labels = ops.where(valid, labels, 0.0)
    values, is_counted = loss.of_lists(labels, scores, valid)
    sizes = ops.sum(ops.cast(valid, "float32"), axis=-1)
    of_list = ops.divide_no_nan(ops.sum(factors, axis=-1), sizes)
    of_list = ops.where(is_counted, of_list, 0.0)
    return ops.sum(of_list * values), ops.sum(ops.abs(of_list))


@keras.saving.register_keras_serializable(package="keras_mtl")
class PairwiseLogistic(ListLoss):
    """Computes the mean logistic loss of the pairs of a list:

        mean over y_i > y_j of log(1 + exp(s_j - s_i))

    A list without two different relevances has no pair, and does not count.

    Args:
        name: Name of the loss.

    Example:
        >>> loss = PairwiseLogistic()
        >>> value = loss.call(ops.array([[2.0, 0.0, 1.0]]), ops.array([[0.5, 0.8, -0.2]]))
        >>> round(3 * float(value[0]), 4)  # .8544 + .4032 + 1.3133
        2.5708

    Reference:
        Burges et al., "Learning to Rank using Gradient Descent", ICML 2005. keras-rs divides by the
        number of items, missing ones too, and not by that of pairs.
    """

    def __init__(self, name: str = "pairwise_logistic") -> None:
        super().__init__(name=name)

    def of_lists(self, labels: Tensor, scores: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Computes the loss of each list of `valid` items."""
        # Each item against each other one of its list: [batch, item, other item].
        both = ops.logical_and(valid[:, :, None], valid[:, None, :])
        pairs = ops.logical_and(both, labels[:, :, None] > labels[:, None, :])
        differences = ops.where(pairs, scores[:, None, :] - scores[:, :, None], 0.0)
        counted = ops.cast(pairs, "float32")
        sums = ops.sum(counted * ops.softplus(differences), axis=(1, 2))
        sizes = ops.sum(counted, axis=(1, 2))
        return ops.divide_no_nan(sums, sizes), sizes > 0.0


def _log_softmax(scores: Tensor, valid: Tensor) -> Tensor:
    """Returns the logarithms of a softmax over the valid items; 0 for the others."""
    logs = ops.log_softmax(ops.where(valid, scores, _NEVER), axis=-1)
    return ops.where(valid, logs, 0.0)


def _are_several(valid: Tensor) -> Tensor:
    return ops.sum(ops.cast(valid, "int32"), axis=-1) > 1


@keras.saving.register_keras_serializable(package="keras_mtl")
class ListNet(ListLoss):
    """Compares the probabilities that an item comes first, by relevances and by scores:

        -sum_i softmax(y)_i log softmax(s)_i

    Choose it for graded relevances of one scale: a relevance that is higher by 1 makes an item
    2.7 times as probable. A list of one item does not count.

    Args:
        name: Name of the loss.

    Example:
        >>> loss = ListNet()
        >>> value = loss.call(ops.array([[2.0, 0.0, 1.0]]), ops.array([[0.5, 0.8, -0.2]]))
        >>> round(float(value[0]), 4)
        1.1904

    Reference:
        Cao et al., "Learning to Rank: From Pairwise Approach to Listwise Approach", ICML 2007: the
        form for the first rank.
    """

    def __init__(self, name: str = "list_net") -> None:
        super().__init__(name=name)

    def of_lists(self, labels: Tensor, scores: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Computes the loss of each list of `valid` items."""
        shares = ops.softmax(ops.where(valid, labels, _NEVER), axis=-1)
        values = -ops.sum(shares * _log_softmax(scores, valid), axis=-1)
        return values, _are_several(valid)


@keras.saving.register_keras_serializable(package="keras_mtl")
class ListSoftmax(ListLoss):
    """Computes the cross-entropy of the relevances' shares and a softmax of the scores:

        -sum_i y_i / sum(y) log softmax(s)_i

    Choose it for clicks and purchases: with one relevant item it is the cross-entropy of a choice
    among the items. A list without a relevant item, or of one item, does not count.

    Args:
        name: Name of the loss.

    Example:
        >>> loss = ListSoftmax()
        >>> value = loss.call(ops.array([[2.0, 0.0, 1.0]]), ops.array([[0.5, 0.8, -0.2]]))
        >>> round(float(value[0]), 4)
        1.2794
    """

    def __init__(self, name: str = "list_softmax") -> None:
        super().__init__(name=name)

    def of_lists(self, labels: Tensor, scores: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Computes the loss of each list of `valid` items."""
        sums = ops.sum(labels, axis=-1)
        values = -ops.sum(labels * _log_softmax(scores, valid), axis=-1)
        return ops.divide_no_nan(values, sums), ops.logical_and(sums > 0.0, _are_several(valid))


@keras.saving.register_keras_serializable(package="keras_mtl")
class ListMLE(ListLoss):
    """Computes the negative log-likelihood of the order of the relevances:

        sum_i  log(sum_(y_j <= y_i) exp(s_j)) - s_i

    Choose it where the whole order matters. It is a sum over the items, so that long lists count
    more. A list of one item does not count.

    Args:
        name: Name of the loss.

    Example:
        >>> loss = ListMLE()
        >>> value = loss.call(ops.array([[2.0, 0.0, 1.0]]), ops.array([[0.5, 0.8, -0.2]]))
        >>> round(float(value[0]), 4)
        2.3593

    Reference:
        Xia et al., "Listwise Approach to Learning to Rank", ICML 2008. There items of equal
        relevance stand in one of their orders, which other code draws or takes from the batch; here
        each of them competes with all of them, as in Breslow's likelihood. keras-rs adds 1e-10
        inside of a logarithm: the right order by a margin of 30 costs 7 there, and 0 here.
    """

    def __init__(self, name: str = "list_mle") -> None:
        super().__init__(name=name)

    def of_lists(self, labels: Tensor, scores: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Computes the loss of each list of `valid` items."""
        scores = ops.where(valid, scores, 0.0)
        # Each item against each other one of its list: [batch, item, other item].
        below = ops.logical_and(valid[:, None, :], labels[:, None, :] <= labels[:, :, None])
        logs = ops.logsumexp(ops.where(below, scores[:, None, :], _NEVER), axis=-1)
        return ops.sum(ops.where(valid, logs - scores, 0.0), axis=-1), _are_several(valid)
