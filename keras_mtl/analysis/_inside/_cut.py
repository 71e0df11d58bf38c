"""A network in two parts: up to some of its tensors, and from them to its outputs."""

from collections.abc import Mapping, Sequence

import keras

from keras_mtl._keras_internals import (
    has_parameters,
    logits_of,
    node_of,
    run_in_mode,
    scale_of,
)
from keras_mtl._types import Tensor
from keras_mtl.analysis._inside._core import Core


class Cut:
    """Runs a network up to some tensors, and from values of these tensors to outputs.

    Where a call makes several tensors, all of them are cut together: otherwise the call would be
    computed again, for those that are not cut.

    Args:
        core: The network.
        tensors: Where to cut: symbolic tensors of the network.
        outputs: The outputs of the second part, by name. Defaults to those of the tasks.
    """

    def __init__(
        self, core: Core, tensors: Sequence[Tensor], outputs: Mapping[str, Tensor] | None = None
    ) -> None:
        self.tensors = _whole_calls(tensors)
        self._outputs = dict(core.outputs if outputs is None else outputs)
        inputs = list(core.network.inputs)
        self._before = keras.Function(inputs, self.tensors)
        cut = {id(tensor) for tensor in self.tensors}
        self._kept = [i for i, tensor in enumerate(inputs) if id(tensor) not in cut]
        self._after = keras.Function(
            [*self.tensors, *(inputs[i] for i in self._kept)], self._outputs
        )

    def before(self, values: Sequence[Tensor]) -> list[Tensor]:
        """Returns the tensors at the cut, for values of the network's inputs."""
        tensors: list[Tensor] = run_in_mode(self._before, list(values), False)
        return tensors

    def after(self, at_cut: Sequence[Tensor], values: Sequence[Tensor]) -> dict[str, Tensor]:
        """Returns the outputs by name, for values at the cut and of the network's inputs."""
        kept = [values[i] for i in self._kept]
        outputs: dict[str, Tensor] = run_in_mode(self._after, [*at_cut, *kept], False)
        return outputs


def _whole_calls(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Returns the tensors, and all others that the same calls make."""
    cut: dict[int, Tensor] = {}
    for tensor in tensors:
        node = node_of(tensor)
        together = [tensor] if node.is_input else node.output_tensors
        cut |= {id(output): output for output in together}
    # The tensors that were asked for come first, in their order.
    asked = {id(tensor): tensor for tensor in tensors}
    return list((asked | cut).values())


def learned_number(prediction: Tensor) -> Tensor:
    """Returns the number behind a prediction: its logits, or its number in the task's scale.

    Without any, it is the prediction itself.
    """
    logits = logits_of(prediction)
    return prediction if logits is None or has_parameters(prediction) else logits


def kind_of_number(prediction: Tensor) -> str:
    """Returns what `learned_number` is: `"logit"`, `"scaled number"` or `"prediction"`."""
    if scale_of(prediction) is not None:
        return "scaled number"
    is_plain = logits_of(prediction) is None or has_parameters(prediction)
    return "prediction" if is_plain else "logit"
