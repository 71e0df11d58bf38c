"""Adaptive information transfer between the steps of a chain (Xi et al., 2021)."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import keras

from keras_mtl._tasks import Task, check_tasks
from keras_mtl._types import Activation, Tensor
from keras_mtl.architectures._building import (
    Part,
    Tower,
    apply_part,
    check_events,
    check_separate_variables,
    end_in_probabilities,
    end_towers,
    event_logits,
    read_inputs,
    towers_by_name,
)
from keras_mtl.layers import ExpectationCalibrator, InformationTransfer


def aitm(
    inputs: Any,
    tasks: Sequence[Task],
    *,
    shared: Part | keras.layers.Layer = (),
    tower: Tower = (128, 64, 32),
    calibrator: float = 0.6,
    activation: Activation = "relu",
    name: str | None = "aitm",
) -> keras.Model:
    """Hands features from each step of a chain to the next, which weighs how much to take.

    For step t of the chain

        z_1 = q_1
        p_t = g_t(z_{t-1})
        z_t = AIT(p_t, q_t)
        y_t = h_t(z_t)

    where `q_t` are the features at the end of the step's tower, `g_t` is a dense layer that
    hands over the features of the step before, `AIT` is the attention of
    `layers.InformationTransfer`, whose maps all steps share, and `h_t` is the head. The loss
    gets the penalty

        calibrator * sum_t mean(max(y_t - y_{t-1}, 0))

    since a later step is at most as probable as the one before.

    Choose it for long chains (impression, click, application, approval, activation) whose last
    steps have few positive labels. It does not give the probability of a step given the one
    before; `esmm` does.

    Guide:
        Kind: chains of tasks
        Shares: features, handed along a chain of steps by attention
        Choose it when: the steps of a funnel follow each other
        Not when: a later step does not imply the earlier ones
        Source: Xi et al. 2021, arXiv:2105.08489

    Args:
        inputs: A `keras.Input` of floats `(batch, ..., in)`; a dict of float inputs, which are
            joined to `(batch, in)`; or the output of a preprocessing model, whose own inputs
            the network then takes. Embeddings in front of it are shared.
        tasks: The steps of the chain in their order, at least one. Each is binary, and its
            label is 1 only where the labels of all steps before are 1.
        shared: Units of a body under all towers, a recipe `features -> features`, or a Keras
            model or layer. Defaults to `()`: only the layers before `inputs` are shared.
        tower: Units of each task's tower, or a recipe `features -> features` that makes new layers
            at each call; all end in the same size. A dict gives each task a tower of its own
            (`None` stands for all others). Defaults to `(128, 64, 32)`.
        calibrator: Strength of the penalty; the mean excess of each step is in the logs of
            training as `<task>_calibrator_penalty`. With 0 there is no penalty, and tasks may
            be of any kind. Defaults to `0.6`.
        activation: Activation of the layers made from units. Defaults to `"relu"`.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from the inputs to a dict of predictions by task name.

    Raises:
        ValueError: If tasks share a name or, with a calibrator, are not binary; if inputs cannot
            be joined, towers end in different sizes, or the strength is negative.
        TypeError: If an argument has a wrong type.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary(name) for name in ("click", "application", "approval")]
        >>> network = mtl.architectures.aitm(keras.Input((8,)), tasks, tower=(16,))
        >>> network.get_layer("approval_calibrator").strength
        0.6

    Reference:
        Xi et al., Modeling the Sequential Dependence among Audience Multi-step Conversions with
        Multi-task Learning in Targeted Display Advertising, KDD 2021, arXiv:2105.08489. Dropout
        and batch normalization, which the authors use, can be put into `tower`. EasyRec gives
        each tower attention maps of its own; the paper and the authors' code share them.
    """
    tasks = check_tasks(tasks)
    if calibrator:
        check_events(tasks, "aitm", "compares probabilities (or pass calibrator=0)")
    inputs, features = read_inputs(inputs, tasks)

    features = apply_part(shared, features, "shared_body", activation, shared=True)

    parts = towers_by_name(tower, [task.name for task in tasks])
    towers = {
        name: apply_part(part, features, f"{name}_tower", activation)
        for name, part in parts.items()
    }
    check_separate_variables(towers, [features])

    transferred = _transfer(towers, activation)

    if calibrator:
        logits = event_logits((), transferred, activation)
        outputs = end_in_probabilities(_calibrate(logits, calibrator), tasks)
    else:
        outputs = end_towers((), transferred, tasks, activation)
    return keras.Model(inputs, outputs, name=name)


def _transfer(towers: Mapping[str, Tensor], activation: Activation) -> dict[str, Tensor]:
    """Computes `z_t` of each step from the features of its tower and from the step before."""
    attention = InformationTransfer(name="shared_transfer")
    transferred: dict[str, Tensor] = {}
    previous = None  # z_{t-1}
    for task, features in towers.items():
        if previous is not None:
            hand_over = keras.layers.Dense(
                features.shape[-1], activation=activation, name=f"{task}_handed"
            )
            features = attention([features, hand_over(previous)])
        transferred[task] = previous = features
    return transferred


def _calibrate(logits: Mapping[str, Tensor], strength: float) -> dict[str, Tensor]:
    """Adds to each logit but the first the penalty for exceeding the one before."""
    calibrated = dict(logits)
    for earlier, later in pairwise(logits):
        layer = ExpectationCalibrator(strength, dtype="float32", name=f"{later}_calibrator")
        calibrated[later] = layer([logits[later], logits[earlier]])
    return calibrated
