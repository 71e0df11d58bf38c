"""Entire-space model with a step between click and purchase (Wen et al., 2020)."""

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
from keras_mtl.layers import JointLogit, TotalLogit


def esm2(
    inputs: Any,
    tasks: Sequence[Task],
    *,
    shared: Part | keras.layers.Layer = (),
    tower: Tower = (128, 64),
    activation: Activation = "relu",
    name: str | None = "esm2",
) -> keras.Model:
    """Learns purchases through an action between click and purchase, such as filling a cart.

    Four towers give the probabilities

        y1 = P(click)
        y2 = P(action | click)
        y3 = P(purchase | action)
        y4 = P(purchase | click, no action)

    and from these come the predictions of the four tasks: the click (`pCTR`), the click with the
    action (`pCTAVR`), the purchase given a click (`pCVR`), and the click with the purchase
    (`pCTCVR`):

        pCTR = y1
        pCTAVR = y1 y2
        pCVR = y2 y3 + (1 - y2) y4
        pCTCVR = y1 pCVR

    Choose it over `esmm` where purchases are rare, and where an action that often comes before
    them is recorded and is far more frequent.

    Guide:
        Kind: chains of tasks
        Shares: a body under the click and under the path of actions that follows it
        Choose it when: actions between click and purchase are logged
        Not when: no actions between click and purchase are logged
        Source: Wen et al. 2020, arXiv:1910.07099

    Args:
        inputs: A `keras.Input` of floats `(batch, ..., in)`; a dict of float inputs, which are
            joined to `(batch, in)`; or the output of a preprocessing model, whose own inputs
            the network then takes. Embeddings in front of it are shared.
        tasks: Four binary tasks, in this order:

            - the click;
            - the action (after a click), whose labels are 0 without a click;
            - the conversion given a click, with `weight=0`, whose labels are missing (NaN) where
              there was no click;
            - the purchase (after a click), whose labels are 0 without a click.
        shared: Units of a body under all towers, a recipe `features -> features`, or a Keras
            model or layer. Defaults to `()`: only the layers before `inputs` are shared.
        tower: Units of each of the four towers, or a recipe `features -> features` that makes new
            layers at each call. A dict gives towers of their own to the click, the action,
            `<purchase>_with_<action>` and `<purchase>_without_<action>`, with the names of the
            tasks (`None` stands for all others). Defaults to `(128, 64)`.
        activation: Activation of the layers made from units. Defaults to `"relu"`.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from the inputs to a dict of probabilities by task name.

    Raises:
        ValueError: If tasks are not these four, share a name, or inputs cannot be joined.
        TypeError: If an argument has a wrong type.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [
        ...     mtl.Task.binary("click"),
        ...     mtl.Task.binary("cart"),
        ...     mtl.Task.binary("conversion", weight=0),
        ...     mtl.Task.binary("purchase"),
        ... ]
        >>> network = mtl.architectures.esm2(keras.Input((8,)), tasks, tower=(16,))
        >>> sorted(layer.name for layer in network.layers if layer.name.endswith("tower_0"))
        ['cart_tower_0', 'click_tower_0', 'purchase_with_cart_tower_0',
         'purchase_without_cart_tower_0']

    Reference:
        Wen et al., Entire Space Multi-Task Modeling via Post-Click Behavior Decomposition for
        Conversion Rate Prediction, SIGIR 2020, arXiv:1910.07099. The compositions are computed
        as logits.
    """
    tasks = check_tasks(tasks)
    _check_chain(tasks)
    inputs, features = read_inputs(inputs, tasks)

    features = apply_part(shared, features, "shared_body", activation, shared=True)

    click, action, conversion, purchase = (task.name for task in tasks)
    with_action, without_action = f"{purchase}_with_{action}", f"{purchase}_without_{action}"
    events = [click, action, with_action, without_action]  # y1, y2, y3, y4
    towers = event_logits(tower, dict.fromkeys(events, features), activation)

    after_click = TotalLogit(dtype="float32", name=f"{conversion}_logits")(
        [towers[action], towers[with_action], towers[without_action]]
    )
    logits = {
        click: towers[click],
        action: JointLogit(dtype="float32", name=f"{action}_joint")(
            [towers[click], towers[action]]
        ),
        conversion: after_click,
        purchase: JointLogit(dtype="float32", name=f"{purchase}_logits")(
            [towers[click], after_click]
        ),
    }
    return keras.Model(inputs, end_in_probabilities(logits, tasks), name=name)


def _check_chain(tasks: Sequence[Task]) -> None:
    """Checks that the tasks are the four of the model."""
    if len(tasks) != 4:
        raise ValueError(
            "esm2 takes four tasks: the click, the action after it, the conversion given a click "
            f"and the purchase, in this order; received {[task.name for task in tasks]}."
        )
    check_events(tasks, "esm2", "composes probabilities")
    if tasks[2].weight != 0:
        raise ValueError(
            f"task {tasks[2].name!r}: esm2 trains no loss on a probability that is known for "
            f"clicked impressions alone. Say so with Task.binary({tasks[2].name!r}, weight=0); "
            f"received weight={tasks[2].weight}."
        )
