"""Labels under a budget, beside a slow reference and beside frequencies."""

import collections
import re

import numpy as np
import pytest

from keras_mtl import active
from keras_mtl.active import GradientEmbedding


def listed(picks):
    return [(pick.row, pick.names) for pick in picks]


def slow_greedy(scores, costs, budget, wanted, bundles, shares):
    """Buys, again and again, what is worth most per cost now; all is computed anew each time."""
    left = {name: flags.copy() for name, flags in wanted.items()}
    factors = {name: 1 / scores[name][wanted[name]].mean() if shares else 1 for name in scores}
    offers = {**{(name,): costs[name] for name in scores}, **bundles}
    # The first draw of the seed says who is first among equals.
    names = list(scores)
    order = [names[i] for i in np.random.default_rng(0).permutation(len(names))]
    spent = dict.fromkeys(names, 0.0)
    bought = []
    while True:
        possible = []
        for bundle, price in offers.items():
            for row, cost in enumerate(np.broadcast_to(price, len(scores[names[0]]))):
                some = tuple(name for name in bundle if left[name][row])
                if some and cost <= budget:
                    worth = sum(scores[name][row] * factors[name] for name in some) / cost
                    possible.append((worth, row, some, cost))
        if not possible:
            return bought
        if shares:
            able = [name for name in order if any(name in some for _, _, some, _ in possible)]
            name = min(able, key=lambda name: spent[name] / shares[name])
            possible = [offer for offer in possible if name in offer[2]]
        _, row, some, cost = max(possible)
        bought.append((row, some))
        budget -= cost
        for name in some:
            left[name][row] = False
            spent[name] += cost / len(some)


@pytest.mark.parametrize("seed", range(12))
def test_purchases_are_those_of_a_slow_search(seed):
    draw = np.random.default_rng(seed)
    names = ("a", "b", "c")
    scores = {name: draw.exponential(size=8) * 10.0**i for i, name in enumerate(names)}
    wanted = {name: draw.random(8) < 0.7 for name in names}
    costs = {"a": 1.0, "b": draw.uniform(0.5, 2, size=8), "c": 3.0}
    bundles = {("a", "b"): 1.6, ("c", "a", "b"): draw.uniform(2, 4, size=8)}
    shares = {"a": 1.0, "b": 2.5, "c": 1.5}
    for offers in ({}, bundles):
        for worth in (shares, "as scored"):
            picks = active.choose(scores, costs, 12.0, wanted=wanted, bundles=offers, worth=worth)
            divided = shares if worth is shares else None
            assert listed(picks) == slow_greedy(scores, costs, 12.0, wanted, offers, divided)
            assert picks.cost <= 12.0


def test_the_budget_is_divided_or_one_for_all():
    draw = np.random.default_rng(0)
    scores = {"big": 100 * draw.random(50), "small": draw.random(50)}

    def counts(**options):
        rows = active.choose(scores, {"big": 2.0, "small": 1.0}, 60.0, **options).rows()
        return [len(rows.get(name, ())) for name in scores]

    assert counts() == [15, 30]  # equal money
    assert counts(worth={"big": 2.0}) == [20, 20]  # equal numbers
    assert counts(worth={"small": 0.0}) == [30, 0]
    assert counts(worth="as scored") == [30, 0]


def test_the_worth_of_an_offer_counts_each_task_by_its_mean_over_wanted_rows():
    scores = {"a": [1000.0, 1.0, 1.0], "b": [2.0, 2.0, 4.0]}
    wanted = {"a": [False, True, True], "b": [True, True, True]}
    # a / 1: 1, 1;  b / 2.667: .75, .75, 1.5;  together at 1.5: 0.5, 1.17, 1.67
    picks = active.choose(scores, 1.0, 1.5, wanted=wanted, bundles={("a", "b"): 1.5})
    assert listed(picks) == [(2, ("a", "b"))]
    # at 2: 1.25 at most, so that b of row 2 alone is best, and a of row 1 or 2
    picks = active.choose(
        scores, 1.0, 1.0, wanted=wanted, bundles={("a", "b"): 2.0}, worth={"a": 0.0}
    )
    assert listed(picks) == [(2, ("b",))]


def test_ties_are_drawn_by_the_seed_and_not_by_the_order_of_rows():
    first = [active.choose({"a": np.ones(20)}, 1.0, 1.0, seed=seed) for seed in range(40)]
    rows = {picks.picks[0].row for picks in first}
    assert len(rows) > 10
    again = [active.choose({"a": np.ones(20)}, 1.0, 1.0, seed=seed) for seed in range(40)]
    assert first == again


def test_a_label_that_comes_free_is_taken():
    scores = {"a": [1.0, 3.0], "b": [5.0, 0.0]}
    picks = active.choose(scores, 1.0, 1.0, bundles={("a", "b"): 1.0}, worth="as scored")
    assert listed(picks) == [(0, ("a", "b"))]
    scores = {"a": [1.0, 3.0], "b": [0.0, 0.0]}  # for which nothing speaks
    picks = active.choose(scores, 1.0, 1.0, bundles={("a", "b"): 1.0}, worth="as scored")
    assert listed(picks) == [(1, ("a", "b"))]


def test_gradients_are_drawn_by_squared_distance_per_cost():
    rows = GradientEmbedding(np.array([[1.0], [1.0], [1.0]]), np.array([[1.0], [2.0], [2.0]]))
    costs = {"a": np.array([1.0, 1.0, 2.0])}
    count = 1500
    firsts = collections.Counter(
        active.choose({"a": rows}, costs, 2.0, seed=seed).picks[0].row for seed in range(count)
    )
    shares = np.array([firsts[row] for row in range(3)]) / count
    np.testing.assert_allclose(shares, np.array([1, 4, 2]) / 7, atol=0.04)
    # After row 1 nothing of row 2 is new, and one of row 0 is.
    after = [
        [pick.row for pick in active.choose({"a": rows}, 1.0, 2.0, seed=seed)] for seed in range(60)
    ]
    assert {tuple(picks) for picks in after} == {(0, 1), (0, 2), (1, 0), (2, 0)}


def test_gradients_of_several_tasks_share_a_budget():
    draw = np.random.default_rng(0)
    rows = {
        name: GradientEmbedding(draw.normal(size=(30, 2)) * scale, draw.normal(size=(30, 3)))
        for name, scale in (("a", 1.0), ("b", 1000.0))
    }
    picks = active.choose(rows, {"a": 1.0, "b": 2.0}, 30.0, bundles={("a", "b"): 2.5})
    assert picks.cost <= 30.0 and len(picks.rows()["a"]) > 5 and len(picks.rows()["b"]) > 5
    bought = [(pick.row, name) for pick in picks for name in pick.names]
    assert len(set(bought)) == len(bought)


@pytest.mark.parametrize(
    ("scores", "options", "message"),
    [
        ({}, {}, "at least one task"),
        ({"a": [1.0, -1.0]}, {}, "received -1. A high score"),
        ({"a": [[1.0]]}, {}, "must be [rows]; received (1, 1)"),
        ({"a": [1.0], "b": [1.0, 2.0]}, {}, "'b' has scores of (2,)"),
        ({"a": [1.0]}, {"costs": {"b": 1.0, "a": 1.0}}, "costs names 'b'"),
        ({"a": [1.0], "b": [1.0]}, {"costs": {"a": 1.0}}, "no price for 'b'"),
        ({"a": [1.0]}, {"costs": 0.0}, "cost of 'a' must be a positive number"),
        ({"a": [1.0]}, {"costs": 3.0}, "budget of 2 buys no label; the cheapest that is wanted"),
        ({"a": [1.0]}, {"wanted": {"a": [False]}}, "no label is wanted"),
        ({"a": [1.0]}, {"worth": {"a": 0.0}}, "no label is wanted"),
        ({"a": [1.0]}, {"worth": "scored"}, "by label, or 'as scored'; received 'scored'"),
        ({"a": [1.0]}, {"bundles": {("a", "c"): 1.0}}, "bundles names 'c'"),
        ({"a": [1.0]}, {"bundles": {"a": 1.0}}, "received the key 'a'"),
    ],
)
def test_what_cannot_be_chosen_from_is_refused(scores, options, message):
    costs = options.pop("costs", 1.0)
    with pytest.raises(ValueError, match=re.escape(message)):
        active.choose(scores, costs, 2.0, **options)
