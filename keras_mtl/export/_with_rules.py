"""A network whose outputs obey rules."""

from collections.abc import Sequence

import keras

from keras_mtl._tasks import Task
from keras_mtl.export._single_task import _read_outputs
from keras_mtl.rules import Rule
from keras_mtl.rules._consistency import check_rules
from keras_mtl.rules._places import check_symbols
from keras_mtl.rules._projection_layer import RuleProjection
from keras_mtl.training import BalancedModel


def with_rules(
    network: keras.Model, rules: Sequence[Rule], tasks: Sequence[Task] | None = None
) -> keras.Model:
    """Adds layers to a network that make rules hold between its outputs.

    In each row in which the outputs break a rule they become the nearest ones by which it holds, as
    the rule states it; other rows stay as they are. The signature of a task then reads the inputs
    of all tasks of its rules, and computes them.

    Choose it where an answer that contradicts itself does harm, whatever the training was: a rule
    that is a penalty holds in most rows, not in all. Not to train: each output would be shared by
    all tasks of the rule. The first answer is not always the better one: compare both on labeled
    rows (`export.compare`).

    Args:
        network: A trained functional network whose outputs are a dict by task, or the
            `BalancedModel` that has trained it.
        rules: From `keras_mtl.rules`. Each output may occur in one of them.
        tasks: The tasks. Defaults to `None`: the rules know them, since they were penalties of a
            `BalancedModel`.

    Returns:
        A functional `keras.Model` with the inputs and outputs of the network, whose layers it
        shares. It is not compiled; pass it to `export.saved_model`.

    Raises:
        TypeError: If the network does not show its graph, or its outputs are not a dict.
        ValueError: If there is no rule, rules contradict each other or change the same output, a
            rule names an output that is not there, or a class, whose distribution would no longer
            add up to 1.

    Example:
        >>> import numpy as np
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("click"), mtl.Task.binary("buy")]
        >>> network = mtl.architectures.hard_sharing(keras.Input((4,)), tasks, shared=(8,))
        >>> served = with_rules(network, [mtl.rules.implies("buy", "click")], tasks)
        >>> answer = served.predict(np.random.default_rng(0).normal(size=(50, 4)), verbose=0)
        >>> bool((answer["buy"] <= answer["click"]).all())
        True
    """
    if isinstance(network, BalancedModel):
        tasks = network.tasks if tasks is None else tasks
        network = network.network
    outputs = dict(_read_outputs(network))
    if isinstance(rules, Rule) or not list(rules):
        raise ValueError(f"rules must be a list of at least one rule; received {rules!r}.")
    for rule in rules:
        if tasks is not None and not rule.knows_places:
            rule.look_up(tasks)
        check_symbols(network, rule.places, rule.name)
    check_rules(rules)
    _check_places(rules)
    for rule in rules:
        # The configuration of a layer holds the rule: a copy, which belongs to no model.
        layer = RuleProjection(
            type(rule).from_config(rule.get_config()), rule.places, name=f"{rule.name}_holds"
        )
        changed = layer([outputs[task] for task in layer.tasks])
        outputs |= dict(zip(layer.tasks, changed, strict=True))
    return keras.Model(network.input, outputs, name=network.name)


def _check_places(rules: Sequence[Rule]) -> None:
    """Checks that each output is changed once, and that no class is.

    Raises:
        ValueError: If it is not so.
    """
    owners: dict[tuple[str, int], str] = {}
    for rule in rules:
        for place, reference in zip(rule.places, rule.references, strict=True):
            if place.is_class:
                raise ValueError(
                    f"rule {rule.name!r} would change {reference!r}, one class of the distribution "
                    f"of task {place.task!r}, which would no longer add up to 1. Use the rule as a "
                    "penalty alone, or make the classes tasks of their own."
                )
            owner = owners.setdefault((place.task, place.entry), rule.name)
            if owner != rule.name:
                raise ValueError(
                    f"the rules {[owner, rule.name]} both change {reference!r}; the second would "
                    "undo what the first has done. State them as one rule: rules.hierarchy or "
                    "rules.ordered take any number of outputs."
                )
