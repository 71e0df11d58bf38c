"""Tasks that order the items of a list."""

from collections.abc import Sequence
from typing import Any, Self

from keras_mtl._tasks._base_task import BaseTask
from keras_mtl._tasks._head import Head
from keras_mtl._tasks._kinds._list_losses import (
    ListLoss,
    ListMLE,
    ListNet,
    ListSoftmax,
    PairwiseLogistic,
)
from keras_mtl._tasks._labels import Labels

_LOSSES: dict[str, type[ListLoss]] = {
    "pairwise": PairwiseLogistic,
    "listnet": ListNet,
    "softmax": ListSoftmax,
    "listmle": ListMLE,
}


class RankingFactory(BaseTask):
    """Adds `Task.ranking`."""

    @classmethod
    def ranking(
        cls,
        name: str,
        list_size: int | None = None,
        *,
        loss: str = "pairwise",
        metrics: Sequence[Any] = ("ndcg",),
        weight: float = 1.0,
    ) -> Self:
        """Builds a task that orders the items of a list: output `(batch, items, 1)`, their scores.

        An example is a list: a query with its documents, a page with its offers. The features of
        the head are `(batch, items, units)`. With the relevances y and the scores s, the loss of a
        list is

            pairwise:  mean over y_i > y_j of log(1 + exp(s_j - s_i))
            listnet:   -sum_i softmax(y)_i log softmax(s)_i
            softmax:   -sum_i y_i / sum(y) log softmax(s)_i
            listmle:   sum_i  log(sum_(y_j <= y_i) exp(s_j)) - s_i

        An item that is missing, by a NaN label, weight 0 or the network's mask, is in no pair, no
        sum and no order. A list with nothing to compare does not count.

        Choose it where examples come in lists and the order within a list is what is served; the
        scores of two lists cannot be compared. Choose `"pairwise"` first, `"softmax"` for clicks,
        `"listnet"` for graded relevances, `"listmle"` where the whole order matters. Where a
        probability per item is served, use `multilabel` or `binary` with the metric `"gauc"`.

        Args:
            name: Name of the task.
            list_size: The number of items of a list, at least 2. Defaults to `None`: any number,
                the same within a batch; pad lists with NaN labels, or pass ragged ones through
                `data.mask_missing`.
            loss: `"pairwise"`, `"listnet"`, `"softmax"` or `"listmle"`. Defaults to `"pairwise"`.
            metrics: Names or `keras.metrics.Metric` objects; `"ndcg"`, `"ndcg_10"`, `"mrr"` and
                `"gauc"` are of lists. Defaults to `("ndcg",)`.
            weight: Multiplies the task's loss. Defaults to `1.0`.

        Returns:
            A `Task` whose labels are relevances of at least 0, `(batch, items)`. A list weighs as
            much as its items do on average.

        Raises:
            ValueError: If `list_size` is below 2, or the loss is unknown.

        Example:
            >>> from keras_mtl import Task
            >>> Task.ranking("offers", 20, loss="softmax").labels.shape
            (20,)

        Reference:
            Burges et al., ICML 2005 (pairwise); Cao et al., ICML 2007 (ListNet, for the first
            rank); Xia et al., "Listwise Approach to Learning to Rank", ICML 2008 (ListMLE). Items
            of equal relevance each compete with all of them; other code draws their order.
        """
        if list_size is not None and list_size < 2:
            raise ValueError(
                f"task {name!r}: a list has at least two items; received list_size={list_size}."
            )
        if loss not in _LOSSES:
            raise ValueError(
                f"task {name!r}: loss is one of {sorted(_LOSSES)}; received {loss!r}. Another loss "
                "is given to the constructor of Task."
            )
        return cls(
            name,
            head=Head(1),
            loss=_LOSSES[loss](),
            metrics=metrics,
            weight=weight,
            labels=Labels((list_size,), low=0),
        )
