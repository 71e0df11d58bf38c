"""The rules by which contenders are chosen, each with what it saw."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_mtl import architectures, balancers
from keras_mtl._tasks import Task
from keras_mtl.studies._advice._conflict import conflicting_pairs, describe_conflict
from keras_mtl.studies._advice._groups import Grouping
from keras_mtl.studies._advice._pilot import Pilot
from keras_mtl.studies._grouped import grouped
from keras_mtl.training import BalancedModel

SHARE_ALL = "share all"
SHARE_GROUPS = "share groups"

_MOST_GRADIENTS = 16  # tasks for which rules on gradients are cheap enough
_MOST_TASKS_OF_EXPERTS = 12


@dataclasses.dataclass(frozen=True)
class Rule:
    """Says what was seen, and which contender follows.

    Args:
        seen: What was seen, as a sentence.
        contender: The name of the contender; `None` if the rule does not apply.
    """

    seen: str
    contender: str | None = None

    def __str__(self) -> str:
        return f"{self.seen} -> {self.contender or 'nothing'}"


def make_short_list(
    build: Callable[..., Any],
    tasks: Sequence[Task],
    network: keras.Model,
    pilot: Pilot,
    grouping: Grouping | None,
) -> tuple[dict[str, Any], list[Rule]]:
    """Returns the contenders in the order of their importance, and the rules that led to them.

    Args:
        build: Builds a network in which all tasks that it receives share a body.
        tasks: The tasks.
        network: A network of all tasks.
        pilot: What the pilot says.
        grouping: The groups of related tasks, or `None`.
    """
    contenders: dict[str, Any] = {SHARE_ALL: build}
    rules = [Rule("it is the simplest, and the cheapest to serve", SHARE_ALL)]
    for seen, name, contender in (
        _groups(build, grouping),
        _conflict(build, tasks, pilot),
        _kinds(build, tasks),
        _experts(tasks, network),
    ):
        rules.append(Rule(seen, name if contender is not None else None))
        if contender is not None:
            contenders[name] = contender
    return contenders, rules


Proposal = tuple[str, str, Any]
"""What was seen, the name of the contender, and the contender, or `None`."""


def _groups(build: Callable[..., Any], grouping: Grouping | None) -> Proposal:
    if grouping is None:
        return "fewer than three tasks, or tasks without common labels", SHARE_GROUPS, None
    seen = f"tasks use the same variables within groups (silhouette {grouping.silhouette:.2f})"
    if not grouping.are_apart:
        return f"no groups of tasks stand apart ({grouping.silhouette:.2f})", SHARE_GROUPS, None
    return seen, SHARE_GROUPS, grouped(build, grouping.groups)


def _conflict(build: Callable[..., Any], tasks: Sequence[Task], pilot: Pilot) -> Proposal:
    name = f"{SHARE_ALL}, UPGrad"
    seen = describe_conflict(pilot.cosines, pilot.cosine_errors, pilot.tasks)
    if not conflicting_pairs(pilot.cosines, pilot.cosine_errors):
        return seen, name, None
    if sum(len(task.loss_names) for task in tasks) > _MOST_GRADIENTS:
        return f"{seen}, but too many tasks for rules on gradients", name, None
    return seen, name, lambda tasks: BalancedModel(build(tasks), tasks, balancers.UPGrad())


def _kinds(build: Callable[..., Any], tasks: Sequence[Task]) -> Proposal:
    name = f"{SHARE_ALL}, uncertainty"
    kinds = sorted({task.described().kind for task in tasks})
    if len(kinds) == 1:
        return f"all labels are of one kind ({kinds[0]})", name, None
    seen = f"labels of different kinds ({', '.join(kinds)}) have losses on different scales"
    return seen, name, lambda tasks: BalancedModel(build(tasks), tasks, balancers.Uncertainty())


def _experts(tasks: Sequence[Task], network: keras.Model) -> Proposal:
    name = "share all, MMoE"
    inputs = getattr(network, "inputs", None) or []
    if len(inputs) != 1 or len(inputs[0].shape) != 2 or "float" not in str(inputs[0].dtype):
        return "inputs are not one table of numbers", name, None
    if len(tasks) > _MOST_TASKS_OF_EXPERTS:
        return f"{len(tasks)} tasks would need as many gates", name, None
    width, dtype = inputs[0].shape[-1], inputs[0].dtype

    def build(tasks: Sequence[Task]) -> keras.Model:
        return architectures.mmoe(keras.Input((width,), dtype=dtype), tasks, num_experts=4)

    return "one table of numbers, few tasks", name, build
