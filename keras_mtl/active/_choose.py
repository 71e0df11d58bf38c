"""Which labels to buy under a budget."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_mtl.active._asking._best_offers import best_offers
from keras_mtl.active._asking._distributions import BoolArray, FloatArray
from keras_mtl.active._asking._offers import Offers, read_offers
from keras_mtl.active._asking._questions import check_names
from keras_mtl.active._asking._spread_offers import spread_offers
from keras_mtl.active._gradient_embedding import GradientEmbedding
from keras_mtl.active._picks import Picks
from keras_mtl.data._elements._numbers import read_number


def choose(
    scores: Mapping[str, Any],
    costs: float | Mapping[str, Any],
    budget: float,
    *,
    wanted: Mapping[str, Any] | None = None,
    bundles: Mapping[tuple[str, ...], Any] | None = None,
    worth: Mapping[str, float] | str | None = None,
    seed: int = 0,
) -> Picks:
    """Chooses the labels with the most worth per cost, until a budget is spent.

    Each label (of a task, or of a column) gets the same part of the budget, or one in proportion to
    `worth`, by turns: next is the one on which the least was spent. What it buys is, of the rows
    whose label is wanted, the one with the highest score per cost. With `worth=costs` all get
    equally many labels.

    So scores of different tasks, which have different units (nats, squared units) and different
    tails, are not compared with each other. One budget for all of them, `worth="as scored"`, buys
    by falling score per cost across tasks. Do not choose that for `margin` or `entropy`: it spends
    nearly all on one task that is cheap or easy. With three tasks on digits, of which one costs
    twice as much (`benchmarks/regimes_active.py`, three seeds, sd .001 to .03), the mean accuracy
    after six rounds is .922 with random labels, .953 with `margin` and equal numbers, .934 with
    `margin` and equal parts of the budget, and .851 with `margin` and one budget. Gradients
    (`active.gradient_embeddings`) bear one budget: .944.

    Labels that come together (a form with three answers) are an offer of their own: `bundles`. It
    is worth the sum of the scores of those of its labels that are still wanted, each divided by the
    mean of its task, and each label pays an equal part. Equal offers are taken in random order.
    What does not fit into the rest of the budget is left out, so that cheap labels may follow; a
    little of the budget may stay unspent.

    Where `scores` are the gradients of `active.gradient_embeddings`, labels are drawn one by one
    instead (BADGE): likely if their gradient is far from all that were drawn, per cost.

    Args:
        scores: Scores `[rows]` by task or `"task.column"`, 0 or more, such as those of
            `active.score`; or all of them a `GradientEmbedding`.
        costs: The price of a label: one for all, or by name; a number, or `[rows]`.
        budget: How much may be spent: the number of labels, where each costs 1.
        wanted: Which labels are not there yet, booleans `[rows]` by name. Defaults to all.
        bundles: Prices of several labels of one row together, by a tuple of their names. Defaults
            to none.
        worth: The part of the budget for each label, by name, in any unit: 1 for those that are
            not named, and 0 for those that are not to be bought. Or `"as scored"`: one budget for
            all. Defaults to equal parts.
        seed: The seed of ties and draws. Defaults to `0`.

    Returns:
        What to buy, the most wanted first.

    Raises:
        ValueError: If a name is unknown, scores are negative, not finite or of different lengths,
            a price is not positive, no label is wanted, or the budget is below the cheapest label
            that is wanted.

    Example:
        >>> scores = {"topic": [0.1, 0.5, 0.9], "spam": [4.0, 0.0, 2.0]}
        >>> picks = choose(scores, {"topic": 2.0, "spam": 1.0}, 4.0)
        >>> [(pick.row, pick.names) for pick in picks]
        [(2, ('topic',)), (0, ('spam',)), (2, ('spam',))]

    Reference:
        Drawn labels: Ash et al. 2020, arXiv:1906.03671, whose first draw is uniform (in its text)
        or the longest gradient (in its code); here all are drawn by the squared distance, the
        first one from 0. Prices and several tasks are this package's.
    """
    if not scores:
        raise ValueError("scores must have at least one task; received none.")
    embeddings = {n: e for n, e in scores.items() if isinstance(e, GradientEmbedding)}
    if embeddings and len(embeddings) < len(scores):
        raise ValueError("scores must all be arrays or all GradientEmbedding; received both.")
    values = {
        name: embeddings[name].squared_lengths() if embeddings else _read_scores(name, entry)
        for name, entry in scores.items()
    }
    rows = len(next(iter(values.values())))
    flags = _read_wanted(wanted, values, rows)
    offers = read_offers(list(values), rows, costs, bundles)
    budget = read_number(budget, "budget is", low=0)
    shares = _shares(values, flags, worth)
    _check_budget(offers, flags, budget)
    factors = dict.fromkeys(values, 1.0)
    if shares is not None:
        factors = {name: _over_mean(array, flags[name]) for name, array in values.items()}
    generator = np.random.default_rng(seed)
    if embeddings:
        return Picks(spread_offers(offers, embeddings, factors, flags, shares, budget, generator))
    values = {name: array * factors[name] for name, array in values.items()}
    return Picks(best_offers(offers, values, flags, shares, budget, generator))


def _read_scores(name: str, values: Any) -> FloatArray:
    """Returns the scores of a task, `[rows]`; checks that they are finite and not negative."""
    array = np.asarray(values, "float64")
    if array.ndim != 1 or not len(array):
        raise ValueError(f"the scores of {name!r} must be [rows]; received {array.shape}.")
    wrong = ~np.isfinite(array) | (array < 0)
    if wrong.any():
        raise ValueError(
            f"the scores of {name!r} must be finite and not negative; received "
            f"{array[wrong][0]:g}. A high score asks for the label."
        )
    return array


def _read_wanted(
    wanted: Mapping[str, Any] | None, values: Mapping[str, FloatArray], rows: int
) -> dict[str, BoolArray]:
    """Returns which labels are wanted, `[rows]` by name; checks all lengths."""
    check_names(wanted or {}, values, "wanted")
    flags: dict[str, BoolArray] = {}
    for name, array in values.items():
        flags[name] = np.array((wanted or {}).get(name, np.ones(rows, bool)))
        if len(array) != rows or flags[name].shape != (rows,) or flags[name].dtype != bool:
            raise ValueError(
                f"scores and wanted (booleans) must be [rows] with {rows} rows, as many as the "
                f"first task has; {name!r} has scores of {array.shape} and wanted of "
                f"{flags[name].shape} in {flags[name].dtype}."
            )
    return flags


def _check_budget(offers: Offers, wanted: Mapping[str, BoolArray], budget: float) -> None:
    """Checks that the budget buys a label at least.

    Raises:
        ValueError: If it does not, or no label is wanted.
    """
    some = [np.any([wanted[name] for name in names], axis=0) for names in offers.bundles]
    costs = offers.costs[np.stack(some, axis=1)]
    if not costs.size:
        raise ValueError("no label is wanted: all that can be bought are there.")
    if costs.min() > budget:
        raise ValueError(
            f"the budget of {budget:g} buys no label; the cheapest that is wanted costs "
            f"{costs.min():g}."
        )


def _shares(
    values: Mapping[str, FloatArray], wanted: Mapping[str, BoolArray], worth: Any
) -> dict[str, float] | None:
    """Returns the part of the budget of each label; `None` for one budget for all.

    Labels that get nothing are not wanted any more.
    """
    if worth == "as scored":
        return None
    if isinstance(worth, str):
        raise ValueError(f"worth must be a dict by label, or 'as scored'; received {worth!r}.")
    check_names(worth or {}, values, "worth")
    shares = {}
    for name in values:
        share = (worth or {}).get(name, 1.0)
        shares[name] = read_number(share, f"the worth of {name!r} is", low=0)
        wanted[name][:] &= shares[name] > 0
    return shares


def _over_mean(scores: FloatArray, wanted: BoolArray) -> float:
    """Returns the inverse of the mean of the scores that are wanted; 0 if that is 0."""
    mean = float(scores[wanted].mean()) if wanted.any() else 0.0
    return 1.0 / mean if mean > 0 else 0.0
