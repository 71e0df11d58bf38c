"""An output that never falls, or never rises, along a column of the inputs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_mtl._tasks import Task
from keras_mtl._types import Tensor
from keras_mtl.data._elements._numbers import read_number
from keras_mtl.rules._places import read_place
from keras_mtl.rules._slopes import Slopes
from keras_mtl.training import BatchHook, Penalty


def monotonic(
    output: str,
    columns: Mapping[str | int, int],
    *,
    step: float | Mapping[str | int, float],
    strength: float = 1.0,
    on: str | None = None,
    name: str | None = None,
) -> "Monotonic":
    """Makes the rule that an output never falls (1), or never rises (-1), along some columns.

    With the output v, and the unit vector e_j of column j with its sign s_j and step d_j, the
    penalty of a row x is

        sum_j max(0, -s_j (v(x + d_j e_j) - v(x)) / d_j)

    the slope in the wrong direction. Each batch gets, for each column, its rows once more, moved by
    one step and without labels: a training step with two columns costs about three plain ones.
    The logs hold `<name>_penalty`, and `<name>_violation`, the share of rows where a slope is wrong
    by more than 1e-6. No balancer sees the penalty.

    Choose it where it is known that more of a column cannot mean less of an output (income and
    credit, dose and effect), and data are few or biased. It holds at the rows of the training, for
    this step, and the better the larger `strength` is; it is not exact, and `export.with_rules`
    does not take it. Where it must hold exactly, use a model that is monotonic as it is built.

    Args:
        output: `"task"`, `"task.column"` or `"task.2"`, as for other rules: a probability or a
            number.
        columns: 1 or -1 by column: the name of an input of one number per row, where inputs are
            a dict; or the position in the table `on`, or in the only input.
        step: How far rows are moved, in the unit of the column: one number, or by column. About as
            far as neighboring rows are apart; a very small step is lost in float32.
        strength: The factor of the penalty. Defaults to `1.0`.
        on: The name of the table, for columns that are positions, where inputs are a dict.
            Defaults to `None`.
        name: The name in the logs. Defaults to one that Keras makes of the class.

    Returns:
        A hook for `BalancedModel(prepare=...)`, which brings its penalty along.

    Raises:
        ValueError: If there is no column, a sign is not 1 or -1, or a step is not positive; by
            `BalancedModel`, if an output or an input is unknown, or an input holds no real numbers.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("default"), mtl.Task.regression("amount")]
        >>> network = mtl.architectures.hard_sharing(keras.Input((4,)), tasks, shared=(8,))
        >>> rule = monotonic("default", {0: -1, 3: 1}, step=0.1, name="credit")
        >>> model = mtl.BalancedModel(network, tasks, mtl.balancers.Equal(), prepare=rule)

    Reference:
        Sivaraman et al. 2020, arXiv:2006.10091, and others have such penalties on derivatives;
        here the slope is a difference, so that no second derivative is needed.
    """
    return Monotonic(output, columns, step=step, strength=strength, on=on, name=name)


@keras.saving.register_keras_serializable(package="keras_mtl")
class Monotonic(BatchHook):
    """Holds the rule of `rules.monotonic`."""

    def __init__(
        self,
        output: str,
        columns: Any,
        *,
        step: Any,
        strength: float = 1.0,
        on: str | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        signs: dict[str | int, int] = dict(
            columns
        )  # pairs, in a saved configuration, where keys are texts
        if not signs or any(sign not in (1, -1) for sign in signs.values()):
            raise ValueError(
                f"rule {self.name!r}: columns must be a dict from columns to 1 (never falls) or -1 "
                f"(never rises); received {signs}."
            )
        steps = dict(step) if isinstance(step, Mapping | Sequence) else dict.fromkeys(signs, step)
        if {*steps} != {*signs}:
            raise ValueError(
                f"rule {self.name!r}: step must have the columns {list(signs)}; received "
                f"{list(steps)}."
            )
        self.reference, self.on = output, on
        subject = f"rule {self.name!r}: the step of"
        # No dicts: Keras cannot track one whose keys are numbers.
        self._columns: tuple[tuple[str | int, int, float], ...] = tuple(
            (key, int(sign), read_number(steps[key], f"{subject} {key!r} is", low=0, above=True))
            for key, sign in signs.items()
        )
        self.strength = read_number(strength, f"rule {self.name!r}: strength is", low=0)
        self._penalties: list[Slopes] = []

    @property
    def signs(self) -> dict[str | int, int]:
        """1 or -1 by column."""
        return {key: sign for key, sign, _ in self._columns}

    @property
    def steps(self) -> dict[str | int, float]:
        """How far rows are moved, by column."""
        return {key: step for key, _, step in self._columns}

    @property
    def penalties(self) -> tuple[Penalty, ...]:
        """The wrong slopes, as a term of the goal."""
        return tuple(self._penalties)

    def bind(self, network: keras.Model, tasks: Sequence[Task]) -> None:
        """Finds the output and the columns, and checks them."""
        super().bind(network, tasks)
        place = read_place(self.reference, tasks, self.name, False)
        for key in self.signs:
            self._check_column(network.input, key)
        penalty = Slopes(
            place, [*self.signs.values()], [*self.steps.values()], self.strength, name=self.name
        )
        penalty.bind(network, tasks)
        self._penalties = [penalty]

    def _check_column(self, inputs: Any, key: str | int) -> None:
        """Checks that a column is one of real numbers.

        Raises:
            ValueError: If it is not.
        """
        named = isinstance(inputs, Mapping)
        where = key if isinstance(key, str) else self.on
        if named != isinstance(where, str) or (named and where not in inputs):
            raise ValueError(
                f"rule {self.name!r}: the column {key!r} with on={self.on!r} is none of the inputs "
                + (f"{sorted(inputs)}." if named else "(a table: columns are positions in it).")
            )
        tensor = inputs[where] if named else inputs
        shape: Any = getattr(tensor, "shape", ())
        width = 1 if isinstance(key, str) else key + 1
        fits = len(shape) == 2 and shape[1] is not None and 0 < width <= shape[1]
        fits = fits and (isinstance(key, int) or shape[1] == 1)
        if not fits and not (isinstance(key, str) and len(shape) == 1):
            raise ValueError(
                f"rule {self.name!r}: the column {key!r} is none of an input of the shape "
                f"{tuple(shape)}; expected one number per row, or a position in a table."
            )
        if not keras.backend.is_float_dtype(tensor.dtype):
            raise ValueError(
                f"rule {self.name!r}: the column {key!r} is of {tensor.dtype}, which no small step "
                "can move."
            )

    def prepare(
        self,
        forward: Callable[[Any], dict[str, Tensor]],
        inputs: Any,
        labels: dict[str, Tensor],
        sample_weights: dict[str, Tensor],
        seed: Tensor,
    ) -> Any:
        """Returns the rows, and behind them the rows moved along each column."""
        blocks = [inputs, *[self._moved(inputs, key) for key in self.signs]]
        copies = len(self.signs)
        return (
            keras.tree.map_structure(lambda *parts: tf.concat(parts, 0), *blocks),
            {name: tf.concat([label] * (copies + 1), 0) for name, label in labels.items()},
            {
                name: tf.concat([weight, *[tf.zeros_like(weight)] * copies], 0)
                for name, weight in sample_weights.items()
            },
        )

    def _moved(self, inputs: Any, key: str | int) -> Any:
        """Returns inputs moved by one step along a column."""
        step = self.steps[key]
        if isinstance(key, str):
            return {**inputs, key: inputs[key] + tf.cast(step, inputs[key].dtype)}
        table = inputs if self.on is None else inputs[self.on]
        moved = table + step * tf.one_hot(key, table.shape[1], dtype=table.dtype)
        return moved if self.on is None else {**inputs, self.on: moved}

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal rule."""
        return {
            "output": self.reference,
            "columns": [list(pair) for pair in self.signs.items()],
            "step": [list(pair) for pair in self.steps.items()],
            "strength": self.strength,
            "on": self.on,
            "name": self.name,
        }
