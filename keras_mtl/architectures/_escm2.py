"""Entire-space model with a counterfactual risk (Wang et al., 2022)."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl._tasks import Head, Task, check_tasks
from keras_mtl._types import Activation, Tensor
from keras_mtl.architectures._building import (
    Part,
    Tower,
    apply_part,
    check_events,
    check_separate_variables,
    end_in_probabilities,
    event_logits,
    read_inputs,
    towers_by_name,
)
from keras_mtl.layers import CounterfactualRisk, JointLogit


def escm2(
    inputs: Any,
    tasks: Sequence[Task],
    *,
    shared: Part | keras.layers.Layer = (),
    tower: Tower = (128, 64),
    activation: Activation = "relu",
    name: str | None = "escm2",
) -> keras.Model:
    """Learns conversion rates from clicks, each weighted by how improbable it was.

    It is `esmm` with a third loss. With the probabilities `pCTR` of a click, `pCVR` of a
    conversion after a click and `pCTCVR` of both,

        pCTCVR = pCTR pCVR
        loss = w_1 BCE(click, pCTR) + w_3 BCE(purchase, pCTCVR) + w_4 risk(pCVR)

    where `BCE` is the binary cross-entropy and `w_t` the weight of task t. The risk is that of
    the conversion estimate on all impressions. It is estimated from the clicked ones, by inverse
    propensity scores or doubly robustly, as the `layers.CounterfactualRisk` of the fourth task
    says.

    Choose it over `esmm` where the size of conversion rates must be right (bids, forecasts). The
    propensities are the predicted probabilities of a click, so it is only as good as those.
    Begin with small weights of the third and fourth tasks, such as 0.1 to 1.

    The risk needs both labels and three predictions at once. It is a task of its own, over an
    output that holds these predictions, so labels stay out of the network's inputs, a balancer
    receives the risk as one of the losses, and the logs show it separately. Serving needs only
    the first three outputs:

        keras.Model(network.input, {task.name: network.output[task.name] for task in tasks[:3]})

    Guide:
        Kind: chains of tasks
        Shares: a body under click and conversion on all impressions, with a counterfactual risk
        Choose it when: the conversion rates of `esmm` are biased
        Not when: click probabilities come near zero
        Source: Wang et al. 2022, arXiv:2204.05125

    Args:
        inputs: A `keras.Input` of floats `(batch, in)`; a dict of float inputs, which are
            joined to `(batch, in)`; or the output of a preprocessing model, whose own inputs
            the network then takes. Embeddings in front of it are shared.
        tasks: Four tasks, in this order:

            - the click;
            - the conversion given a click, with `weight=0`, whose labels are missing (NaN) where
              there was no click;
            - the purchase (click and conversion), whose labels are 0 without a click;
            - a task whose loss is a `layers.CounterfactualRisk`, and whose labels are 0, 1 or 2:
              no click, a click, a purchase. Its head ends the tower that imputes errors, if
              there is one.
        shared: Units of a body under all towers, a recipe `features -> features`, or a Keras
            model or layer. Defaults to `()`: only the layers before `inputs` are shared.
        tower: Units of each tower, or a recipe `features -> features` that makes new layers at each
            call. A dict gives a tower of its own to the click, the conversion and the error, which
            is named as the fourth task (`None` stands for all others). Defaults to `(128, 64)`.
        activation: Activation of the layers made from units. Defaults to `"relu"`.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from the inputs to a dict by task name: three probabilities,
        and the values that the risk is computed from, `(batch, 2)` or `(batch, 3)`.

    Raises:
        ValueError: If tasks are not these four, share a name, or inputs cannot be joined.
        TypeError: If an argument has a wrong type.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [
        ...     mtl.Task.binary("click"),
        ...     mtl.Task.binary("conversion", weight=0),
        ...     mtl.Task.binary("purchase"),
        ...     mtl.Task(
        ...         "risk",
        ...         head=mtl.Head(1, "softplus"),  # errors are positive
        ...         loss=mtl.layers.CounterfactualRisk("dr", clip=0.1),
        ...         labels=mtl.Labels(integer=True, low=0, high=2),
        ...         weight=0.1,
        ...     ),
        ... ]
        >>> network = mtl.architectures.escm2(keras.Input((8,)), tasks, tower=(16,))
        >>> {name: output.shape for name, output in network.output.items()}
        {'click': (None, 1), 'conversion': (None, 1), 'purchase': (None, 1), 'risk': (None, 3)}

    Reference:
        Wang et al., ESCM2: Entire Space Counterfactual Multi-Task Model for Post-Click
        Conversion Rate Estimation, SIGIR 2022, arXiv:2204.05125. Towers over shared embeddings
        are one of the bodies in the paper; for experts, put them into `shared` or before
        `inputs`.
    """
    tasks = check_tasks(tasks)
    risk = _check_chain(tasks)
    inputs, features = read_inputs(inputs, tasks)

    features = apply_part(shared, features, "shared_body", activation, shared=True)

    click, conversion, purchase = (task.name for task in tasks[:3])
    imputed = [tasks[3].name] if risk.width == 3 else []
    towers = towers_by_name(tower, [click, conversion, *imputed])
    events = {event: towers[event] for event in (click, conversion)}
    logits = event_logits(events, dict.fromkeys(events, features), activation)
    joint = JointLogit(dtype="float32", name=f"{purchase}_logits")
    logits[purchase] = joint([logits[click], logits[conversion]])

    outputs = end_in_probabilities(logits, tasks[:3])
    risk_inputs = [logits[conversion], logits[click]]  # in the order of CounterfactualRisk
    if imputed:
        risk_inputs.append(_impute_error(tasks[3], towers[tasks[3].name], features, activation))
    join = keras.layers.Concatenate(dtype="float32", name=f"{tasks[3].name}_joined")
    # A layer of the task's own name makes the output, as heads do.
    output = keras.layers.Identity(dtype="float32", name=tasks[3].name)
    outputs[tasks[3].name] = output(join(risk_inputs))
    check_separate_variables(outputs, [features])
    return keras.Model(inputs, outputs, name=name)


def _impute_error(task: Task, tower: Part, features: Tensor, activation: Activation) -> Tensor:
    """Returns the imputed error of each impression, `(batch, 1)`.

    Raises:
        ValueError: If the head returns another shape.
    """
    top = apply_part(tower, features, f"{task.name}_tower", activation)
    error = task.head(top, task.name) if isinstance(task.head, Head) else task.head(top)
    if error.shape[1:] != (1,):
        raise ValueError(
            f"task {task.name!r}: its head imputes one error an impression, (batch, 1); it "
            f"returns the shape {error.shape}. Use Head(1, 'softplus')."
        )
    return error


def _check_chain(tasks: Sequence[Task]) -> CounterfactualRisk:
    """Checks that the tasks are the four of the model, and returns the risk of the last."""
    if len(tasks) != 4 or not isinstance(tasks[3].loss, CounterfactualRisk):
        raise ValueError(
            "escm2 takes four tasks: the click, the conversion given a click, the purchase, and "
            "one whose loss is a keras_mtl.layers.CounterfactualRisk, in this order; received "
            f"{[task.name for task in tasks]}, the last with the loss {tasks[-1].loss!r}."
        )
    check_events(tasks[:3], "escm2", "multiplies probabilities")
    if tasks[1].weight != 0:
        raise ValueError(
            f"task {tasks[1].name!r}: the fourth task holds the loss of this probability. Say so "
            f"with Task.binary({tasks[1].name!r}, weight=0); received {tasks[1].weight}."
        )
    return tasks[3].loss
