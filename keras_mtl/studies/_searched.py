"""A contender whose task weights are searched."""

from collections.abc import Callable
from typing import Any

from keras_mtl.data._elements._numbers import read_number
from keras_mtl.studies._contenders._contender import Contender


def searched(build: Callable[..., Any], *, ratio: float = 100.0) -> Contender:
    """Makes a contender whose task weights are searched, within the budget of all contenders.

    Each trial draws weights and a learning rate together, and the first has equal weights. The
    weights sum to the number of tasks, from the space of `tuning.search_task_weights`, which is the
    same for every order of the tasks.

    Choose it to ask whether tuned weights are better than equal weights *beyond* what a learning
    rate tuned with the same number of trials gives: put the same network without `searched` beside
    it. Choose `tuning.search_task_weights` for a search by itself, which learns from trial to
    trial.

    Args:
        build: `build(tasks)` or `build(tasks, hp)`. It receives the tasks with the weights of a
            trial. The study compiles the network that it returns with these weights.
        ratio: The largest ratio between two task weights. Defaults to 100.

    Returns:
        A contender for `compare`.

    Raises:
        ValueError: If the ratio is not above 1.

    Example:
        >>> import keras
        >>> import keras_mtl as mtl
        >>> contender = searched(
        ...     lambda tasks: mtl.architectures.hard_sharing(keras.Input((4,)), tasks), ratio=10.0
        ... )
        >>> contender.ratio
        10.0
    """
    subject = "ratio, the largest ratio between two task weights, is"
    return Contender(build, ratio=read_number(ratio, subject, low=1.0, above=True))
