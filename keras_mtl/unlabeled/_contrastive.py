"""The task that finds the two views of a row."""

from keras_mtl._tasks import Head, Labels, Task
from keras_mtl.data._elements._numbers import read_whole
from keras_mtl.unlabeled._nt_xent import NTXent


def contrastive(
    name: str = "views", dimensions: int = 32, *, temperature: float = 0.5, weight: float = 1.0
) -> Task:
    """Makes the task that finds the two views of a row among all rows of the batch.

    Its output are embeddings `(batch, dimensions)`; its labels, of `unlabeled.two_views`, say which
    rows belong together, and its loss is `unlabeled.NTXent`. Any labels of that kind will do, such
    as the number of a product that a photo and a text show.

    Choose it as an auxiliary task with many rows without labels, or to train on it first; leave
    the output away when the network is served (`export.single_task`). On digits with 50 labels and
    1,000 rows without, beside the task, it gave nothing: .831 after .825, sd .03
    (`benchmarks/regimes_unlabeled.py`).

    Args:
        name: The name of the task. Defaults to `"views"`.
        dimensions: The size of the embeddings, 2 or more. Defaults to `32`.
        temperature: The temperature of the loss; above 0. Defaults to `0.5`.
        weight: Multiplies the loss. Defaults to `1.0`.

    Returns:
        A task for a builder and `BalancedModel`.

    Raises:
        ValueError: If a number is out of range.

    Example:
        >>> contrastive("views", 16).head.units
        16

    Reference:
        Chen et al. 2020, arXiv:2002.05709; of tables Bahri et al. 2022, arXiv:2106.15147.
    """
    units = read_whole(dimensions, f"task {name!r}: dimensions is", low=2)
    return Task(
        name,
        head=Head(units),
        loss=NTXent(temperature),
        weight=weight,
        labels=Labels((), integer=True, low=0),
    )
