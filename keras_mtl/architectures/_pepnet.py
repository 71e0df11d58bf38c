"""Parameter and embedding personalized network (Chang et al., 2023)."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl._tasks import Task, check_tasks
from keras_mtl._types import Activation, Tensor
from keras_mtl.architectures._building import (
    Tower,
    check_features,
    check_units,
    end_towers,
    is_units,
    read_inputs,
    towers_by_name,
)
from keras_mtl.layers import GateNU, PickBranch, StopGradient


def pepnet(
    inputs: Any,
    tasks: Sequence[Task],
    *,
    domain: Sequence[str] = (),
    prior: Sequence[str] = (),
    tower: Tower = (128, 64),
    gamma: float = 2.0,
    activation: Activation = "relu",
    name: str | None = "pepnet",
) -> keras.Model:
    """Gates the features by their domain, and the layers of towers by the user who asks.

    A gate unit U with weights W, b, W' and b' gives factors between 0 and gamma. One unit gates
    the shared features E; then, for each layer l of the towers, one unit U_l gates the features
    H_kl that the layer reads in the tower of task k:

        U(z) = gamma sigmoid(W' relu(W z + b) + b')
        O = U([domain, stop(E)]) * E
        H'_kl = U_l([prior, stop(O)])_k * H_kl

    The last gates stand in front of the heads. [.] joins features, and `stop` lets no gradient
    through, so that the gates do not influence the training of the features.

    Choose it where one model serves several surfaces or markets (`domain`), and where the ids
    of user, item and author (`prior`) are lost among many features. Without such inputs it is
    `hard_sharing` with gates. The factors are the outputs of the layers `shared_domain_gate`
    and `<task>_gate_<l>`.

    Guide:
        Kind: attention and conditioning
        Shares: one body, with gates that read who asks
        Choose it when: domains or users differ
        Not when: nothing is known about who asks
        Source: Chang et al. 2023, arXiv:2302.01115

    Args:
        inputs: A dict of float inputs (embeddings and numbers), which are joined to
            `(batch, in)`; or one `keras.Input` of floats `(batch, ..., in)`, or the output of a
            preprocessing model, without `domain` and `prior`.
        tasks: The tasks, at least one.
        domain: Names of the inputs that say where an example comes from. Defaults to none: the
            gate reads the features alone.
        prior: Names of the inputs that say whom an example concerns. Defaults to none, likewise.
        tower: Units of each task's tower, or a recipe that makes new layers at each call, in front
            of which there is one gate. A dict gives each task a tower of its own (`None` stands for
            all others). Defaults to `(128, 64)`.
        gamma: The largest factor. Defaults to `2.0`.
        activation: Activation of the layers made from units. Defaults to `"relu"`.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from the inputs to a dict of predictions by task name.

    Raises:
        ValueError: If tasks share a name, inputs cannot be joined, `domain` or `prior` names an
            unknown input, or a tower ends in a shape that does not fit its task.
        TypeError: If an argument is of another type.

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
    network_inputs, features = read_inputs(inputs, tasks)

    check_features(features, "pepnet")
    gate = GateNU(features.shape[-1], gamma=gamma, name="shared_domain_gate")
    factors = gate(_join_for_gate(inputs, domain, features, "domain"))
    features = keras.layers.Multiply(name="shared_domain_features")([features, factors])

    gate_features = _join_for_gate(inputs, prior, features, "prior")
    task_features = {task.name: features for task in tasks}
    parts = towers_by_name(tower, task_features)
    units = {
        task: check_units(part, f"{task}_tower") if is_units(part) else []
        for task, part in parts.items()
    }
    for i in range(1 + max(map(len, units.values()))):
        reaching = {task: task_features[task] for task in units if len(units[task]) >= i}
        task_features |= _personalize(reaching, gate_features, gamma, i, len(tasks))
        for task in reaching:
            for size in units[task][i : i + 1]:
                layer = keras.layers.Dense(size, activation=activation, name=f"{task}_tower_{i}")
                task_features[task] = layer(task_features[task])

    # Towers given as units are applied above, between the gates.
    rest = {task: () if is_units(part) else part for task, part in parts.items()}
    outputs = end_towers(rest, task_features, tasks, activation)
    return keras.Model(network_inputs, outputs, name=name)


def _join_for_gate(inputs: Any, names: Sequence[str], features: Tensor, part: str) -> Tensor:
    """Joins the features that a gate reads: the named inputs, and `features` without gradient."""
    known_names = list(inputs) if isinstance(inputs, dict) else []
    if isinstance(names, str) or not set(names) <= set(known_names):
        raise ValueError(
            f"{part} must list names of inputs, which are {known_names}; received {names!r}. Pass "
            "inputs as a dict to name some of them."
        )
    flat_inputs = [
        inputs[key]
        if len(inputs[key].shape) == 2
        else keras.layers.Flatten(name=f"shared_{part}_{key}")(inputs[key])
        for key in names
    ]
    stopped = StopGradient(name=f"shared_{part}_stopped")(features)
    if not flat_inputs:
        return stopped
    return keras.layers.Concatenate(name=f"shared_{part}")([*flat_inputs, stopped])


def _personalize(
    task_features: dict[str, Tensor], gate_features: Tensor, gamma: float, i: int, num_tasks: int
) -> dict[str, Tensor]:
    """Multiplies each task's features by its part of the factors of one gate unit.

    Tasks whose towers have the same width at layer `i` share a gate unit.
    """
    by_size: dict[int, dict[str, Tensor]] = {}
    for task, features in task_features.items():
        by_size.setdefault(features.shape[-1], {})[task] = features
    outputs = {}
    for size, group in by_size.items():
        # With one dict of equal towers, or none, there is one group, of all tasks.
        name = f"shared_prior_gate_{i}" + (f"_{size}" if len(by_size) > 1 else "")
        if len(group) == 1 and num_tasks > 1:
            name = f"{next(iter(group))}_prior_gate_{i}"
        factors = GateNU(size, gamma=gamma, num_gates=len(group), name=name)(gate_features)
        for k, (task, features) in enumerate(group.items()):
            task_factors = PickBranch(k, name=f"{task}_gate_{i}")(factors)  # (batch, ..., size)
            gated = keras.layers.Multiply(name=f"{task}_gated_{i}")
            outputs[task] = gated([features, task_factors])
    return outputs
