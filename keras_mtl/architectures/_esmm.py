"""Entire-space multi-task model (Ma et al., 2018)."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl._tasks import Task, check_tasks
from keras_mtl._types import Activation
from keras_mtl.architectures._building import (
    Part,
    Tower,
    apply_part,
    check_events,
    end_in_probabilities,
    event_logits,
    read_inputs,
)
from keras_mtl.layers import JointLogit


def esmm(
    inputs: Any,
    tasks: Sequence[Task],
    *,
    shared: Part | keras.layers.Layer = (),
    tower: Tower = (128, 64),
    activation: Activation = "relu",
    name: str | None = "esmm",
) -> keras.Model:
    """Learns conversion rates from all impressions, though only clicks show conversions.

    One tower gives the probability `pCTR` of a click, another the probability `pCVR` of a
    conversion after a click. The probability of both is

        pCTCVR = pCTR * pCVR

    The losses are those of the click and of the product, whose labels are known for every
    impression.

    Choose it where the conversion rate is wanted for items that may never be clicked, and clicks
    are few. It tends to overestimate that rate; `escm2` corrects for it. Where only the purchase
    matters, `aitm` transfers more than a probability.

    Guide:
        Kind: chains of tasks
        Shares: a body under click and conversion, both learned from all impressions
        Choose it when: conversions are seen only on clicked impressions
        Not when: conversions without a click count
        Source: Ma et al. 2018, arXiv:1804.07931

    Args:
        inputs: A `keras.Input` of floats `(batch, ..., in)`; a dict of float inputs, which are
            joined to `(batch, in)`; or the output of a preprocessing model, whose own inputs
            the network then takes. Embeddings in front of it are shared.
        tasks: Three binary tasks, in this order:

            - the click;
            - the conversion given a click, with `weight=0`: no loss trains it, its metrics
              count clicked impressions. Its labels are missing (NaN) where there was no click;
            - the purchase, which is a click and a conversion, and 0 where there was no click.

            A longer chain continues with two more tasks per step: the probability given the
            step before, with `weight=0`, and the probability of all steps so far.
        shared: Units of a body under all towers, a recipe `features -> features`, or a Keras
            model or layer. Defaults to `()`: only the layers before `inputs` are shared.
        tower: Units of each tower, or a recipe `features -> features` that makes new layers at each
            call. A dict gives a tower of its own to the click and to each conversion, by the name
            of the task (`None` stands for all others). Defaults to `(128, 64)`.
        activation: Activation of the layers made from units. Defaults to `"relu"`.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from the inputs to a dict of probabilities by task name.

    Raises:
        ValueError: If tasks are not such a chain, share a name, or inputs cannot be joined.
        TypeError: If an argument has a wrong type.

    Example:
        >>> import numpy as np
        >>> import keras_mtl as mtl
        >>> click = mtl.Task.binary("click")
        >>> conversion = mtl.Task.binary("conversion", weight=0)
        >>> purchase = mtl.Task.binary("purchase")
        >>> tasks = [click, conversion, purchase]
        >>> network = mtl.architectures.esmm(keras.Input((8,)), tasks, tower=(16,))
        >>> p = network(np.ones((1, 8)))
        >>> bool(np.allclose(p["purchase"], p["click"] * p["conversion"]))
        True

    Reference:
        Ma et al., Entire Space Multi-Task Model: An Effective Approach for Estimating
        Post-Click Conversion Rate, SIGIR 2018, arXiv:1804.07931. Longer chains are not in the
        paper. The product is computed as a logit, so that its loss is exact where it is small.
    """
    tasks = check_tasks(tasks)
    _check_chain(tasks)
    inputs, features = read_inputs(inputs, tasks)

    features = apply_part(shared, features, "shared_body", activation, shared=True)

    steps = [tasks[0].name, *(task.name for task in tasks[1::2])]
    logits = event_logits(tower, dict.fromkeys(steps, features), activation)

    for i, task in enumerate(tasks[2::2]):  # the products of the first 2, 3, ... steps
        joint = JointLogit(dtype="float32", name=f"{task.name}_logits")
        logits[task.name] = joint([logits[step] for step in steps[: i + 2]])

    return keras.Model(inputs, end_in_probabilities(logits, tasks), name=name)


def _check_chain(tasks: Sequence[Task]) -> None:
    """Checks that the tasks are a click and then pairs of a conditional and a joint event."""
    names = [task.name for task in tasks]
    if len(tasks) % 2 == 0:
        raise ValueError(
            "esmm takes the click, the conversion given a click, and the purchase (click and "
            "conversion), in this order, and two more tasks for each further step; "
            f"received {names}."
        )
    check_events(tasks, "esmm", "multiplies probabilities")
    for task in tasks[1::2]:
        if task.weight != 0:
            raise ValueError(
                f"task {task.name!r}: esmm trains no loss on a probability that is known for "
                "clicked impressions alone. Say so with "
                f"Task.binary({task.name!r}, weight=0); received weight={task.weight}."
            )
