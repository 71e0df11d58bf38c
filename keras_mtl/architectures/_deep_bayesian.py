"""Deep Bayesian multi-target learning (Wang et al., 2019)."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_mtl._tasks import Task, check_tasks
from keras_mtl._types import Activation, Tensor
from keras_mtl.architectures._building import (
    Part,
    Tower,
    apply_part,
    check_separate_variables,
    end_towers,
    join_features,
    read_inputs,
    towers_by_name,
)


def deep_bayesian(
    inputs: Any,
    tasks: Sequence[Task],
    *,
    shared: Part | keras.layers.Layer = (128, 64),
    tower: Tower = (64,),
    relation: Part = (32,),
    parents: Mapping[str, Sequence[str]] | None = None,
    activation: Activation = "relu",
    name: str | None = "deep_bayesian",
) -> keras.Model:
    """Lets targets depend on each other along a Bayesian network, in hidden features.

    This is deep Bayesian multi-target learning (Wang et al. 2019), which its paper abbreviates
    DBMTL; it is not the balancer `balancers.DBMTL` (dual balancing). The targets have the joint
    probability

        P(y_1, ..., y_K | x) = prod_k P(y_k | x, parents of y_k)

    and for target k the network computes

        u_k = r_k([q_k(f(x)), u_j for each parent j])
        y_k = h_k(u_k)

    where `f` is the shared body, `q_k` the tower, `r_k` the part given as `relation`, and `h_k`
    the head.

    Choose it where it is known which target leads to which (a click to a stay, a stay to a
    comment), and they form more than one path. For a plain chain of events use `aitm`, which
    weighs how much a step takes from the one before; where nothing is known of the targets use
    `mmoe`, which needs no such knowledge.

    Guide:
        Kind: chains of tasks
        Shares: one body, and hidden features of the targets that a target depends on
        Choose it when: targets depend on one another in a known order
        Not when: no order of the targets is known
        Source: Wang et al. 2019, arXiv:1902.09154

    Args:
        inputs: A `keras.Input` of floats `(batch, ..., in)`; a dict of float inputs, which are
            joined to `(batch, in)`; or the output of a preprocessing model, whose own inputs
            the network then takes. A body that is not given as units may read other types.
        tasks: The tasks, parents before their children, at least one.
        shared: Units of the shared body, a recipe `features -> features`, or a Keras model or
            layer. Defaults to `(128, 64)`.
        tower: Units of each task's tower, or a recipe `features -> features` that makes new layers
            at each call. A dict gives each task a tower of its own (`None` stands for all others).
            Defaults to `(64,)`.
        relation: Units of the part that reads the tower of a task and the relations of its
            parents, joined, or a recipe as above. Defaults to `(32,)`.
        parents: For each task, the names of the tasks that it depends on; a task that is missing
            there has none. Defaults to all tasks before it, as in the chain rule of
            probability.
        activation: Activation of the layers made from units. Defaults to `"relu"`.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from the inputs to a dict of predictions by task name.

    Raises:
        ValueError: If tasks share a name, inputs cannot be joined, or `parents` names a task
            that is unknown or comes later.
        TypeError: If an argument has a wrong type.

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
    parents_of = _read_parents(parents, [task.name for task in tasks])
    inputs, features = read_inputs(inputs, tasks)

    features = apply_part(shared, features, "shared_body", activation, shared=True)

    parts = towers_by_name(tower, [task.name for task in tasks])
    towers = {
        name: apply_part(part, features, f"{name}_tower", activation)
        for name, part in parts.items()
    }

    relations: dict[str, Tensor] = {}  # u_k; those of parents are there first
    for task in towers:
        parent_relations = [relations[parent] for parent in parents_of[task]]
        reads = join_features([towers[task], *parent_relations], f"{task}_reads")
        relations[task] = apply_part(relation, reads, f"{task}_relation", activation)
    check_separate_variables(relations, [features])

    outputs = end_towers((), relations, tasks, activation)
    return keras.Model(inputs, outputs, name=name)


def _read_parents(
    parents: Mapping[str, Sequence[str]] | None, names: Sequence[str]
) -> dict[str, list[str]]:
    """Returns the parents of each task.

    Raises:
        TypeError: If `parents` is not a dict.
        ValueError: If a name is unknown, or a parent does not come before its child.
    """
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
    parents_of = {name: [*parents.get(name, ())] for name in names}
    for i, (name, task_parents) in enumerate(parents_of.items()):
        if isinstance(parents.get(name), str) or not set(task_parents) <= set(names[:i]):
            raise ValueError(
                f"task {name!r}: its parents must be a list of tasks that come before it, of "
                f"{[*names[:i]]}; received {parents[name]!r}. Order the tasks so that parents "
                "come first."
            )
    return parents_of
