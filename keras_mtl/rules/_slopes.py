"""The penalty on predictions that fall where they must not."""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from keras_mtl._types import Tensor
from keras_mtl.rules._places import Place, value_at
from keras_mtl.training import Penalty

_TOLERANCE = 1e-6


class Slopes(Penalty):
    """Holds the order between predictions for rows and for the same rows, moved along columns.

    It counts in steps of which a hook has appended one block of rows for each column.

    Args:
        place: The entry of the output.
        signs: 1 for a column along which it must not fall, -1 for one along which it must not rise.
        steps: How far rows are moved along each.
        strength: Its factor in the goal.
        name: Its name in the logs.
    """

    of_hook = True

    def __init__(
        self,
        place: Place,
        signs: Sequence[int],
        steps: Sequence[float],
        strength: float,
        *,
        name: str,
    ) -> None:
        super().__init__(strength, name=name)
        self._place = place
        self._signs = tuple(signs)
        self._steps = tuple(steps)

    def penalize(
        self, outputs: Mapping[str, Tensor], sample_weights: Mapping[str, Tensor]
    ) -> Tensor:
        """Computes the sum of the wrong slopes of each row, times the number of blocks."""
        slopes = self._wrong_slopes(outputs)
        rows = tf.add_n([tf.nn.relu(slope) for slope in slopes])
        blocks = len(slopes) + 1
        # The mean is taken over all blocks, and is to be that over the rows.
        return tf.concat([blocks * rows, *[tf.zeros_like(rows)] * len(slopes)], 0)

    def violation(self, outputs: Mapping[str, Tensor]) -> Tensor:
        """Returns which rows break the rule by more than 1e-6, for each of the blocks."""
        slopes = self._wrong_slopes(outputs)
        is_broken = tf.reduce_any(tf.stack(slopes) > _TOLERANCE, axis=0)
        return tf.tile(is_broken, [len(slopes) + 1])

    def _wrong_slopes(self, outputs: Mapping[str, Tensor]) -> list[Tensor]:
        """Returns how fast the output goes the wrong way along each column, `[rows]` each."""
        values = tf.split(value_at(self._place, outputs), len(self._signs) + 1)
        pairs = zip(values[1:], self._signs, self._steps, strict=True)
        return [sign * (values[0] - moved) / step for moved, sign, step in pairs]
