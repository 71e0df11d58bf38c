"""From the needs of a rule to the kind of step that meets them, and to the options they exclude.

The first row of `_STEPS` whose need a balancer has names its kind of step. Each need of it excludes
the options of `EXCLUSIONS`, which `training/_checks.py` refuses before training, with the sentences
of that table.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

from keras_mtl._tasks import Task
from keras_mtl.balancers import Balancer, LossBalancer
from keras_mtl.training._optimizer import inner_optimizers

Way: TypeAlias = Literal[
    "losses", "representation", "samples", "inner_steps", "look_ahead", "parameters"
]


def choose_step(balancer: Balancer, at: str) -> Way:
    """Returns the kind of step that a balancer takes."""
    return next(way for way, has_need in _STEPS if has_need(balancer, at))


_STEPS: tuple[tuple[Way, Callable[[Balancer, str], bool]], ...] = (
    ("losses", lambda balancer, at: isinstance(balancer, LossBalancer)),
    ("representation", lambda balancer, at: at == "representation"),
    ("samples", lambda balancer, at: balancer.needs.samples > 1),
    ("inner_steps", lambda balancer, at: balancer.needs.inner_steps > 0),
    ("look_ahead", lambda balancer, at: balancer.needs.second_batch),
    ("parameters", lambda balancer, at: True),
)


# For each option, a function of the model and the optimizer (`None` before `compile`) that returns
# the words for it in a message, or `None` where it was not chosen.
_CHOSEN: dict[str, Callable[[Any, Any], str | None]] = {
    "representation": lambda m, _: "at='representation'" if m.at == "representation" else None,
    "every": lambda m, _: f"every={m.every}" if m.every > 1 else None,
    "scale_towers": lambda m, _: "scale_towers=True" if m.scale_towers else None,
    "entangled": lambda m, _: "a network with such layers" if m.frontier.entangled else None,
    "columns": lambda m, _: _with_columns(m.tasks),
    "no preference input": lambda m, _: _without_preference(m.network.inputs),
    "unbalanced": lambda m, _: f"unbalanced={[*m.unbalanced]}" if m.unbalanced else None,
    "accumulation": lambda _, optimizer: _accumulation(optimizer),
    "several optimizers": lambda _, optimizer: _several(optimizer),
}


def _with_columns(tasks: Sequence[Task]) -> str | None:
    names = [task.name for task in tasks if task.columns is not None]
    return f"tasks of which {names} have columns" if names else None


def _without_preference(inputs: Sequence[Any]) -> str | None:
    names = [tensor.name for tensor in inputs]
    return None if "preference" in names else f"the inputs {names}"


def _accumulation(optimizer: Any) -> str | None:
    if optimizer is None:
        return None
    steps = [inner.gradient_accumulation_steps for inner in inner_optimizers(optimizer)]
    return f"gradient_accumulation_steps={max(filter(None, steps))}" if any(steps) else None


def _several(optimizer: Any) -> str | None:
    count = 1 if optimizer is None else len(inner_optimizers(optimizer))
    return f"a {type(optimizer).__name__} of {count} optimizers" if count != 1 else None


_ON_VARIABLES = "works on gradients with respect to the shared variables"
_AT_PARAMETERS = "Use at='parameters'."

# The need, the excluded option, the reason and the cure. A message reads: "<balancer> <reason>;
# received <option>. <cure>".
EXCLUSIONS: tuple[tuple[Callable[[Balancer], bool], str, str, str], ...] = (
    (lambda b: b.needs.samples > 1, "representation", _ON_VARIABLES, _AT_PARAMETERS),
    (lambda b: b.needs.second_batch, "representation", _ON_VARIABLES, _AT_PARAMETERS),
    (lambda b: b.needs.per_entry_state, "representation", _ON_VARIABLES, _AT_PARAMETERS),
    (
        lambda b: b.needs.per_entry_state,
        "entangled",
        "keeps a number for each entry of the shared variables, and where a layer is used in "
        "several places or a nested model has several outputs, a network shows which these are "
        "in training only",
        "Use another balancer.",
    ),
    (
        lambda b: b.needs.preference,
        "every",
        "draws a preference in each step, which old weights do not fit",
        "Use every=1.",
    ),
    (
        lambda b: b.needs.preference or b.needs.second_batch or b.needs.samples > 1,
        "unbalanced",
        "takes a preference between all tasks, or looks at all of them on other examples",
        "Leave it out, or use a rule on one batch.",
    ),
    (
        lambda b: b.needs.preference,
        "no preference input",
        "trains a network for all preferences between tasks, so the network must take one",
        "Add keras.Input((number of tasks,), name='preference').",
    ),
    (lambda b: b.needs.second_batch, "every", "looks ahead in each step", "Use every=1."),
    (
        lambda b: b.needs.second_batch,
        "columns",
        "looks ahead task by task",
        "Use a rule that looks at no second batch, or a task for each column.",
    ),
    (
        lambda b: b.needs.second_batch,
        "several optimizers",
        "looks ahead by the learning rate",
        "Use one optimizer for all variables.",
    ),
    (
        lambda b: b.needs.inner_steps > 0,
        "scale_towers",
        "weighs gradients of two batches, and a tower takes its task's gradient on one of them",
        "Leave it out.",
    ),
    (
        lambda b: b.needs.losses_after,
        "accumulation",
        "compares the losses before and after each step, and most steps change nothing then",
        "Leave it out, and train on larger batches.",
    ),
)


def excluded_option(model: Any, optimizer: Any = None) -> str | None:
    """Returns the error's text if a need of the balancer excludes a chosen option, else `None`.

    Args:
        model: A `BalancedModel`.
        optimizer: The optimizer that it is compiled with; `None` before `compile`.
    """
    for has_need, option, why, cure in EXCLUSIONS:
        chosen = _CHOSEN[option](model, optimizer)
        if chosen is not None and has_need(model.balancer):
            return f"{type(model.balancer).__name__} {why}; received {chosen}. {cure}"
    return None
