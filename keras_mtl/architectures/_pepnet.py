"""Parameter and embedding personalized network (Chang et al., 2023)."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl._tasks import Task, check_tasks
from keras_mtl._types import Tensor
from keras_mtl.architectures._building import (
    Part,
    check_features,
    check_units,
    end_towers,
    is_units,
    read_inputs,
)
from keras_mtl.layers import GateNU, PickBranch, StopGradient


def pepnet(
    inputs: Any,
    tasks: Sequence[Task],
    *,
    domain: Sequence[str] = (),
    prior: Sequence[str] = (),
    tower: Part = (128, 64),
    gamma: float = 2.0,
    activation: Any = "relu",
    name: str | None = "pepnet",
) -> keras.Model:
    """Gates the features by where they come from, and the layers of towers by who is concerned.

    A gate unit gives factors in (0, gamma): `U(z) = gamma sigmoid(W' relu(W z + b) + b')`. The
    shared features E become `O = U([domain, stop(E)]) * E`. Each layer l of task k's tower
    reads `U_l([prior, stop(O)])_k * H_k,l`, the last one before the head; `stop` lets no
    gradient through, so that gates do not bend the features. Choose it where one model serves
    several surfaces or markets (`domain`) and ids of user, item and author (`prior`) drown
    among many features. Without such inputs it is `hard_sharing` with gates. The factors are
    the outputs of the layers `shared_domain_gate` and `<task>_gate_<l>`.

    Args:
        inputs: A dict of float inputs (embeddings and numbers), which are joined to
            `(batch, in)`; or one `keras.Input` of floats `(batch, ..., in)`, or the output of a
            preprocessing model, without `domain` and `prior`.
        tasks: The tasks, at least one.
        domain: Which of the inputs say where an example comes from. Defaults to none: the gate
            reads the features alone.
        prior: Which of the inputs say who is concerned. Defaults to none, likewise.
        tower: Units of each task's tower, or a recipe that makes new layers at each call, in
            front of which there is one gate. Defaults to `(128, 64)`.
        gamma: The largest factor. Defaults to `2.0`.
        activation: Activation of the layers made from units. Defaults to `"relu"`.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from the inputs to a dict of predictions by task name.

    Raises:
        ValueError: If tasks share a name, inputs cannot be joined, `domain` or `prior` names no
            input, or a tower ends in a shape that does not fit its task.
        TypeError: If an argument is of another kind.

    Example:
        >>> import keras_mtl as mtl
        >>> inputs = {name: keras.Input((4,), name=name) for name in ("user", "page", "stats")}
        >>> tasks = [mtl.Task.binary("click"), mtl.Task.binary("like")]
        >>> network = mtl.architectures.pepnet(inputs, tasks, domain=["page"], prior=["user"])
        >>> network.get_layer("like_gate_0").output.shape
        (None, 12)

    Reference:
        Chang et al., PEPNet: Parameter and Embedding Personalized Network for Infusing with
        Personalized Prior Information, KDD 2023, arXiv:2302.01115. Beyond the paper: features
        with more axes are gated at each position.
    """
    tasks = check_tasks(tasks)
    roots, features = read_inputs(inputs, tasks)

    check_features(features, "pepnet")
    gate = GateNU(features.shape[-1], gamma=gamma, name="shared_domain_gate")
    factors = gate(_join(inputs, domain, features, "domain"))
    features = keras.layers.Multiply(name="shared_domain_features")([features, factors])

    known = _join(inputs, prior, features, "prior")
    columns = {task.name: features for task in tasks}
    units = check_units(tower, "tower") if is_units(tower) else []
    for i, size in enumerate(units):
        columns = _personalize(columns, known, gamma, i)
        for task, column in columns.items():
            layer = keras.layers.Dense(size, activation=activation, name=f"{task}_tower_{i}")
            columns[task] = layer(column)
    columns = _personalize(columns, known, gamma, len(units))

    outputs = end_towers(() if is_units(tower) else tower, columns, tasks, activation)
    return keras.Model(roots, outputs, name=name)


def _join(inputs: Any, names: Sequence[str], features: Tensor, part: str) -> Tensor:
    """Prior information and, behind a stop of gradients, the features: what a gate reads."""
    known = list(inputs) if isinstance(inputs, dict) else []
    if isinstance(names, str) or not set(names) <= set(known):
        raise ValueError(
            f"{part} must list names of inputs, which are {known}; received {names!r}. Pass "
            "inputs as a dict to name some of them."
        )
    columns = [
        inputs[key]
        if len(inputs[key].shape) == 2
        else keras.layers.Flatten(name=f"shared_{part}_{key}")(inputs[key])
        for key in names
    ]
    stopped = StopGradient(name=f"shared_{part}_stopped")(features)
    if not columns:
        return stopped
    return keras.layers.Concatenate(name=f"shared_{part}")([*columns, stopped])


def _personalize(
    columns: dict[str, Tensor], known: Tensor, gamma: float, i: int
) -> dict[str, Tensor]:
    """Multiplies each task's features by its part of the factors of one gate unit."""
    size = next(iter(columns.values())).shape[-1]
    gates = GateNU(size, gamma=gamma, num_gates=len(columns), name=f"shared_prior_gate_{i}")
    factors = gates(known)
    outputs = {}
    for k, (task, features) in enumerate(columns.items()):
        own = PickBranch(k, name=f"{task}_gate_{i}")(factors)
        outputs[task] = keras.layers.Multiply(name=f"{task}_gated_{i}")([features, own])
    return outputs
