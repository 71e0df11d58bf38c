"""An output that is the sum of others."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.rules._rule import Rule


def sums(
    total: str,
    parts: Sequence[str],
    strength: float = 1.0,
    *,
    unit: float = 1.0,
    variances: Sequence[float] | None = None,
    labeled: str | Sequence[str] = (),
    name: str | None = None,
) -> "Sums":
    """Makes the rule that one output is the sum of others.

    The penalty is ((t - sum_i p_i) / unit)^2 with the total t and the parts p_i. In what is served
    (`export.with_rules`) the sum holds: with the residual r = t - sum_i p_i and variances w,

        t - r w_t / (w_t + sum_j w_j)        p_i + r w_i / (w_t + sum_j w_j)

    which are the nearest numbers by squared distance, each divided by its variance.

    Choose it for amounts that are predicted as a whole and in parts (sales of a chain and of its
    shops). Not where a part may never be negative and is near 0: the correction does not know it.

    Args:
        total: The output of the sum, as `"task"` or `"task.column"`.
        parts: The outputs that add up to it.
        strength: The factor of the penalty. Defaults to `1.0`.
        unit: The size of a residual that counts 1: that of the errors of the total, so that the
            penalty does not depend on the unit of the labels. Defaults to `1.0`.
        variances: The mean squared error of the total and of each part, in this order, known from
            validation rows. Defaults to `None`: all equal.
        labeled: Tasks without whose label a row does not count. Defaults to none.
        name: The name in the logs. Defaults to one that Keras makes of the class.

    Returns:
        A rule for `BalancedModel(penalties=[...])` and `export.with_rules`.

    Raises:
        ValueError: If there is no part, an output stands twice, `unit` or a variance is not
            positive, or there is not one variance for each output.

    Example:
        >>> import keras_mtl as mtl
        >>> rule = sums("all", ["north", "south"])
        >>> rule.look_up([mtl.Task.regression(name) for name in ("all", "north", "south")])
        >>> values = [ops.array([v]) for v in (10.0, 4.0, 5.0)]
        >>> [round(float(v[0]), 4) for v in rule.project(values)]
        [9.6667, 4.3333, 5.3333]

    Reference:
        Minimum trace reconciliation, Wickramasuriya et al. 2019, doi:10.1080/01621459.2018.1448825,
        with a diagonal matrix of variances.
    """
    references = (total, *parts)
    return Sums(references, strength, unit=unit, variances=variances, labeled=labeled, name=name)


@keras.saving.register_keras_serializable(package="keras_mtl")
class Sums(Rule):
    """Holds the rule of `rules.sums`; the first reference is the total."""

    on_probabilities = False

    def __init__(
        self,
        references: Sequence[str],
        strength: float = 1.0,
        *,
        unit: float = 1.0,
        variances: Sequence[float] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(references, strength, **kwargs)
        shares = [1.0] * len(self.references) if variances is None else [*map(float, variances)]
        if len(shares) != len(self.references) or not min(*shares, unit) > 0:
            raise ValueError(
                f"rule {self.name!r}: unit and variances must be positive, with one variance for "
                f"each of {list(self.references)}; received unit={unit!r}, variances={variances!r}."
            )
        self.unit = float(unit)
        self.variances = None if variances is None else tuple(shares)
        self._shares = [share / sum(shares) for share in shares]

    def penalty_of(self, outputs: Mapping[str, Tensor]) -> Tensor:
        """Returns the squared residual in units."""
        return ops.square(_residual(self.values(outputs)) / self.unit)

    def excess(self, values: Sequence[Tensor]) -> Tensor:
        """Returns the residual, divided by the size of the numbers where that is more than 1."""
        size = ops.maximum(1.0, sum(ops.abs(value) for value in values))
        return ops.abs(_residual(values)) / size

    def project(self, values: Sequence[Tensor]) -> list[Tensor]:
        """Returns values that add up."""
        residual = _residual(values)
        parts = zip(values[1:], self._shares[1:], strict=True)
        corrected = [value + residual * share for value, share in parts]
        return [values[0] - residual * self._shares[0], *corrected]

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal rule."""
        return {"unit": self.unit, "variances": self.variances, **super().get_config()}


def _residual(values: Sequence[Tensor]) -> Tensor:
    return values[0] - sum(values[1:])
