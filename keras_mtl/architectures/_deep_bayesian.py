"""Deep Bayesian multi-target learning (Wang et al., 2019)."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_mtl._tasks import Task, check_tasks
from keras_mtl._types import Tensor
from keras_mtl.architectures._building import (
    Part,
    apply_part,
    check_own_weights,
    end_towers,
    join,
    read_inputs,
)


def deep_bayesian(
    inputs: Any,
    tasks: Sequence[Task],
    *,
    shared: Part | keras.layers.Layer = (128, 64),
    tower: Part = (64,),
    relation: Part = (32,),
    parents: Mapping[str, Sequence[str]] | None = None,
    activation: Any = "relu",
    name: str | None = "deep_bayesian",
) -> keras.Model:
    """Lets targets depend on each other along a Bayesian network, in hidden features.

    `P(y_1, ..., y_K | x) = prod_k P(y_k | x, parents of y_k)`: with the towers `q_k(f(x))`,

        u_k = r_k([q_k, u_j for each parent j])    y_k = h_k(u_k).

    Choose it where it is known which target leads to which (a click to a stay, a stay to a
    comment), more than one way. For a plain chain of events `aitm` weighs what it takes; where
    nothing is known of the targets, `mmoe` asks for nothing.

    Args:
        inputs: A `keras.Input` of floats `(batch, ..., in)`; a dict of float inputs, which are
            joined to `(batch, in)`; or the output of a preprocessing model, whose own inputs
            the network then takes. A body that is no units may read other types as well.
        tasks: The tasks, parents before their children, at least one.
        shared: Units of the shared body, a recipe `features -> features`, or a Keras model or
            layer. Defaults to `(128, 64)`.
        tower: Units of each task's tower, or a recipe `features -> features` that makes new
            layers at each call. Defaults to `(64,)`.
        relation: Units of what each task makes of its tower and its parents, or a recipe as
            above. Defaults to `(32,)`.
        parents: For each task, the names of those it depends on; a task that is missing there
            has none. Defaults to all tasks before it, as the chain rule has it.
        activation: Activation of the layers made from units. Defaults to `"relu"`.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from the inputs to a dict of predictions by task name.

    Raises:
        ValueError: If tasks share a name, inputs cannot be joined, or `parents` names a task
            that is unknown or comes later.
        TypeError: If an argument is of another kind.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("click"), mtl.Task.regression("stay"),
        ...          mtl.Task.binary("purchase")]
        >>> network = mtl.architectures.deep_bayesian(
        ...     keras.Input((8,)), tasks, parents={"stay": ["click"], "purchase": ["click"]}
        ... )
        >>> network.get_layer("purchase_reads").output.shape  # its tower and the click's relation
        (None, 96)

    Reference:
        Wang et al., Deep Bayesian Multi-Target Learning for Recommender Systems, 2019,
        arXiv:1902.09154. A body of experts, as in EasyRec, can be put into `shared`.
    """
    tasks = check_tasks(tasks)
    links = _read_parents(parents, [task.name for task in tasks])
    inputs, features = read_inputs(inputs, tasks)

    features = apply_part(shared, features, "shared_body", activation, shared=True)

    towers = {
        task.name: apply_part(tower, features, f"{task.name}_tower", activation) for task in tasks
    }

    relations: dict[str, Tensor] = {}
    for task in towers:
        reads = join([towers[task], *(relations[each] for each in links[task])], f"{task}_reads")
        relations[task] = apply_part(relation, reads, f"{task}_relation", activation)
    check_own_weights(relations, [features])

    outputs = end_towers((), relations, tasks, activation)
    return keras.Model(inputs, outputs, name=name)


def _read_parents(
    parents: Mapping[str, Sequence[str]] | None, names: Sequence[str]
) -> dict[str, list[str]]:
    """The parents of each task, all of them before it."""
    if parents is None:
        return {name: list(names[:i]) for i, name in enumerate(names)}
    if not isinstance(parents, Mapping):
        raise TypeError(
            "parents: expected a dict from the name of a task to those of its parents, such as "
            f"{{{names[-1]!r}: [{names[0]!r}]}}; received {parents!r}."
        )
    unknown = sorted(set(parents) - set(names))
    if unknown:
        raise ValueError(f"parents: {unknown} are no tasks; there are {[*names]}.")
    links = {name: [*parents.get(name, ())] for name in names}
    for i, (name, each) in enumerate(links.items()):
        if isinstance(parents.get(name), str) or not set(each) <= set(names[:i]):
            raise ValueError(
                f"task {name!r}: its parents must be a list of tasks that come before it, of "
                f"{[*names[:i]]}; received {parents[name]!r}. Order the tasks so that parents "
                "come first."
            )
    return links
