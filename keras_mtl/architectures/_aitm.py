"""Adaptive information transfer between the steps of a chain (Xi et al., 2021)."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import keras

from keras_mtl._tasks import Task, check_tasks
from keras_mtl._types import Tensor
from keras_mtl.architectures._building import (
    Part,
    apply_part,
    check_events,
    check_own_weights,
    end_in_probabilities,
    end_towers,
    event_logits,
    read_inputs,
)
from keras_mtl.layers import ExpectationCalibrator, InformationTransfer


def aitm(
    inputs: Any,
    tasks: Sequence[Task],
    *,
    shared: Part | keras.layers.Layer = (),
    tower: Part = (128, 64, 32),
    calibrator: float = 0.6,
    activation: Any = "relu",
    name: str | None = "aitm",
) -> keras.Model:
    """Hands features from each step of a chain to the next, which weighs how much to take.

    With the towers' features `q_t(x)` and the transfer layers `g_t`, and with the attention
    `AIT` of `layers.InformationTransfer`, whose maps all steps share:

        z_1 = q_1    z_t = AIT(p_t, q_t) with p_t = g_t(z_{t-1})    y_t = h_t(z_t)

    The loss gets `calibrator * sum_t mean(max(y_t - y_{t-1}, 0))`: a later step is at most as
    probable as the one before. Choose it for long chains (impression, click, application,
    approval, activation) whose last steps have few positive labels. It does not say the
    probability of a step given the one before; `esmm` does.

    Args:
        inputs: A `keras.Input` of floats `(batch, ..., in)`; a dict of float inputs, which are
            joined to `(batch, in)`; or the output of a preprocessing model, whose own inputs
            the network then takes. Embeddings in front of it are shared.
        tasks: The steps of the chain in their order, at least one. Each is binary, and its
            label is 1 only where those before are.
        shared: Units of a body under all towers, a recipe `features -> features`, or a Keras
            model or layer. Defaults to `()`: only what stands before `inputs` is shared.
        tower: Units of each task's tower, or a recipe `features -> features` that makes new
            layers at each call; all end in the same size. Defaults to `(128, 64, 32)`.
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
        TypeError: If an argument is of another kind.

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

    towers = {
        task.name: apply_part(tower, features, f"{task.name}_tower", activation) for task in tasks
    }
    check_own_weights(towers, [features])

    transferred = _transfer(towers, activation)

    if calibrator:
        logits = event_logits((), transferred, activation)
        outputs = end_in_probabilities(_calibrated(logits, calibrator), tasks)
    else:
        outputs = end_towers((), transferred, tasks, activation)
    return keras.Model(inputs, outputs, name=name)


def _transfer(towers: Mapping[str, Tensor], activation: Any) -> dict[str, Tensor]:
    """Features with what each step takes from the one before."""
    attention = InformationTransfer(name="shared_transfer")
    transferred: dict[str, Tensor] = {}
    handed = None
    for task, own in towers.items():
        if handed is not None:
            size = own.shape[-1]
            handed = keras.layers.Dense(size, activation=activation, name=f"{task}_handed")(handed)
            own = attention([own, handed])
        transferred[task] = handed = own
    return transferred


def _calibrated(logits: Mapping[str, Tensor], strength: float) -> dict[str, Tensor]:
    calibrated = dict(logits)
    for earlier, later in pairwise(logits):
        layer = ExpectationCalibrator(strength, dtype="float32", name=f"{later}_calibrator")
        calibrated[later] = layer([logits[later], logits[earlier]])
    return calibrated
