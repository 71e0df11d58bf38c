"""A penalty that keeps variables near values that they have had."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._tasks import Task
from keras_mtl._types import Tensor
from keras_mtl.training import Penalty
from keras_mtl.transfer._variable_names import variables_by_name


@keras.saving.register_keras_serializable(package="keras_mtl")
class KeepNear(Penalty):
    """Keeps variables of a network near values that they have had.

    Adds strength / 2 sum_i F_i (t_i - t_i*)^2 to the goal of each step, with the entries t_i of the
    variables now, their old values t_i* and importances F_i. `transfer.remember` makes one; choose
    it directly for values and importances of your own, which `keep` takes. Not for variables that
    shall be near 0: that is what regularizers do.

    Old values and importances are saved with the model. Variables are found by the names of their
    layers, so that the network may have other tasks than the one that the values come from.

    Args:
        shapes: The shape of each variable, by its name: the path of its layer, `/`, and its own
            path within the layer, as in `shared_body_0/kernel`.
        strength: The factor, 0 or more. Defaults to `1.0`.
        name: The name in the logs. Defaults to one that Keras makes of the class.

    Raises:
        ValueError: If there is no variable, or the strength is negative.

    Example:
        >>> import numpy as np
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("click"), mtl.Task.regression("price")]
        >>> network = mtl.architectures.hard_sharing(keras.Input((4,)), tasks, shared=(8,))
        >>> penalty = KeepNear({"shared_body_0/bias": (8,)}, name="near_one")
        >>> penalty.keep("shared_body_0/bias", np.ones(8))
        >>> model = mtl.BalancedModel(
        ...     network, tasks, mtl.balancers.Equal(), penalties=[penalty]
        ... )
        >>> float(penalty.penalize({}, {}))
        4.0
    """

    def __init__(
        self,
        shapes: Mapping[str, Sequence[int]],
        strength: float = 1.0,
        *,
        name: str | None = None,
    ) -> None:
        super().__init__(strength, name=name)
        if not shapes:
            raise ValueError(f"penalty {self.name!r}: there is no variable to keep.")
        self.shapes = {key: tuple(map(int, shape)) for key, shape in shapes.items()}
        self.old_values = {key: self._state(key, "old", "zeros") for key in self.shapes}
        self.importances = {key: self._state(key, "importance", "ones") for key in self.shapes}
        self._kept: dict[str, Any] = {}

    def _state(self, key: str, what: str, initializer: str) -> Any:
        return self.add_weight(
            shape=self.shapes[key],
            initializer=initializer,
            trainable=False,
            name=f"{what}_{list(self.shapes).index(key)}",
        )

    def keep(self, name: str, value: Tensor, importance: Tensor | None = None) -> None:
        """Sets the old value of a variable, and how much its entries matter.

        Args:
            name: The name of the variable.
            value: Its old value.
            importance: F, of the same shape, not negative. Defaults to `None`: 1 for each entry.

        Raises:
            ValueError: If no variable has that name, or the importance is negative or not finite.
        """
        if name not in self.shapes:
            raise ValueError(
                f"penalty {self.name!r} keeps no variable {name!r}; it keeps {list(self.shapes)}."
            )
        if importance is not None:
            numbers = ops.convert_to_numpy(importance)
            if not (numbers >= 0).all() or not ops.all(ops.isfinite(numbers)):
                raise ValueError(
                    f"penalty {self.name!r}: importances of {name!r} must be finite and not "
                    "negative."
                )
            self.importances[name].assign(importance)
        self.old_values[name].assign(value)

    def bind(self, network: keras.Model, tasks: Sequence[Task]) -> None:
        """Finds the variables in the network.

        Raises:
            ValueError: If one is missing there or has another shape, or it belongs to another
                network.
        """
        super().bind(network, tasks)
        variables = variables_by_name(network)
        unlike = [
            f"{key} {shape}"
            + (f", which is {tuple(variables[key].shape)} there" if key in variables else "")
            for key, shape in self.shapes.items()
            if key not in variables or tuple(variables[key].shape) != shape
        ]
        if unlike:
            raise ValueError(
                f"penalty {self.name!r} keeps variables that the network {network.name!r} does not "
                f"have: {unlike}. It has {list(variables)}. Keep the layers' names, or remember "
                "fewer layers: remember(..., layers='shared_*')."
            )
        self._kept = {key: variables[key] for key in self.shapes}

    def penalize(
        self, outputs: Mapping[str, Tensor], sample_weights: Mapping[str, Tensor]
    ) -> Tensor:
        """Computes half the weighted sum of squared distances, a scalar."""
        terms = []
        for key, variable in self._kept.items():
            distance = ops.cast(variable, "float32") - self.old_values[key]
            terms.append(ops.sum(self.importances[key] * ops.square(distance)))
        return 0.5 * sum(terms)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal penalty."""
        shapes = {key: list(shape) for key, shape in self.shapes.items()}
        return {"shapes": shapes, **super().get_config()}
