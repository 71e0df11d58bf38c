"""What labels cost: alone, or several of one row together."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_mtl.active._asking._distributions import BoolArray, FloatArray
from keras_mtl.active._asking._questions import check_names


@dataclasses.dataclass(frozen=True)
class Offers:
    """Holds what can be bought for each row: the labels that come together, and their price.

    Args:
        bundles: The names of the labels of each offer.
        costs: The prices, `[rows, offers]`.
    """

    bundles: tuple[tuple[str, ...], ...]
    costs: FloatArray

    def worth(
        self, values: Mapping[str, FloatArray], wanted: Mapping[str, BoolArray]
    ) -> FloatArray:
        """Returns what the wanted labels of each offer are worth, `[rows, offers]`.

        An offer without a wanted label has -1, so that it is never bought.
        """
        columns = []
        for names in self.bundles:
            value = sum(np.where(wanted[name], values[name], 0.0) for name in names)
            some = np.any([wanted[name] for name in names], axis=0)
            columns.append(np.where(some, value, -1.0))
        worth: FloatArray = np.stack(columns, axis=1)
        return worth


def read_offers(
    names: Sequence[str],
    rows: int,
    costs: float | Mapping[str, Any],
    bundles: Mapping[tuple[str, ...], Any] | None,
) -> Offers:
    """Returns the offers for some rows.

    Args:
        names: The labels that can be bought.
        rows: The number of rows.
        costs: The price of a label: one for all, or by name; a number, or `[rows]`.
        bundles: Prices of several labels of one row together, by a tuple of their names.

    Raises:
        ValueError: If a name is unknown or has no price, or a price is not positive.
    """
    prices: dict[tuple[str, ...], Any] = {}
    if isinstance(costs, Mapping):
        check_names(costs, names, "costs")
        absent = [name for name in names if name not in costs]
        if absent:
            raise ValueError(f"costs has no price for {absent[0]!r}; expected one for {names}.")
        prices |= {(name,): costs[name] for name in names}
    else:
        prices |= {(name,): costs for name in names}
    for bundle, price in (bundles or {}).items():
        if isinstance(bundle, str) or len(set(bundle)) < 2 or len(set(bundle)) < len(bundle):
            raise ValueError(
                f"bundles must be a dict from tuples of two or more different names to prices; "
                f"received the key {bundle!r}."
            )
        check_names(bundle, names, "bundles")
        prices[tuple(bundle)] = price
    arrays = [_read_price(bundle, price, rows) for bundle, price in prices.items()]
    return Offers(tuple(prices), np.stack(arrays, axis=1))


def _read_price(bundle: tuple[str, ...], price: Any, rows: int) -> FloatArray:
    """Returns the price of an offer for each row, `[rows]`; checks that it is positive."""
    array = np.asarray(price, "float64")
    if array.shape not in ((), (rows,)) or not (np.isfinite(array) & (array > 0)).all():
        shown = f"an array of the shape {array.shape}" if array.ndim else f"{array:g}"
        raise ValueError(
            f"the cost of {' and '.join(map(repr, bundle))} must be a positive number, or one "
            f"for each of the {rows} rows; received {shown}."
        )
    return np.broadcast_to(array, (rows,))
