"""A pool in a loop: what it asks for, what answers change, and what a file keeps."""

import re

import keras
import numpy as np
import pytest

import keras_mtl as mtl
from keras_mtl import Task, active
from keras_mtl.active import Pick, Picks

TASKS = [
    Task.multiclass("z", 3),
    Task.multilabel("m", columns=["one", "two"]),
    Task.regression("n"),
]
ROWS = 12
X = np.random.default_rng(0).normal(size=(ROWS, 4)).astype("float32")
COSTS = {"z": 2.0, "m.one": 1.0, "m.two": 1.0, "n": 3.0}
RULES = {"z": "margin", "m": "margin"}


def labels():
    z = np.full(ROWS, -1)
    z[:4] = [0, 1, 2, 0]
    m = np.full((ROWS, 2), np.nan)
    m[2:6, 0], m[:3, 1] = 1.0, 0.0
    return {"z": z, "m": m, "n": None}


def new_pool(**options):
    return active.Pool(X, labels(), TASKS, **{"costs": COSTS, **options})


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(3)
    return mtl.architectures.hard_sharing(keras.Input((4,)), TASKS, shared=(5,), tower=())


def answers(picks, value=1.0):
    return {name: np.full(len(rows), value) for name, rows in picks.rows().items()}


def test_labels_that_are_there_are_not_asked_for(network):
    pool = new_pool()
    assert pool.num_known == {"z": 4, "m.one": 4, "m.two": 3, "n": 0}
    picks = pool.ask(network, 1e6, RULES)
    rows = picks.rows()
    assert sorted(rows["z"]) == list(range(4, 12))
    assert sorted(rows["m.one"]) == [0, 1, *range(6, 12)] and "n" not in rows
    pool.answer(picks, answers(picks))
    assert pool.spent == picks.cost == 8 * 2 + 8 + 9
    with pytest.raises(ValueError, match="no label is wanted: all that can be bought are there"):
        pool.ask(network, 1e6, RULES)
    assert pool.ask(None, 3.0, "random").rows().keys() == {"n"}


def test_the_most_doubtful_rows_of_each_label_are_asked_for(network):
    pool = new_pool()
    picks = pool.ask(network, 12.0, RULES)
    scores = active.score(network, X, TASKS[:2])
    wanted = pool.wanted()
    assert {name: len(rows) for name, rows in picks.rows().items()} == {
        "z": 2,
        "m.one": 4,
        "m.two": 4,
    }
    for name, rows in picks.rows().items():
        best = np.argsort(-np.where(wanted[name], scores[name], -1.0))[: len(rows)]
        assert rows.tolist() == best.tolist()


def test_an_answer_that_nobody_can_tell_is_paid_for_and_not_asked_again():
    pool = new_pool()
    picks = Picks((Pick(8, ("z",), 2.0), Pick(7, ("m.one",), 1.0), Pick(9, ("n",), 3.0)))
    pool.answer(picks, answers(picks, np.nan))
    assert pool.spent == 6.0
    assert pool.num_known == {"z": 4, "m.one": 4, "m.two": 3, "n": 0}
    wanted = pool.wanted()
    assert not wanted["z"][8] and not wanted["m.one"][7] and not wanted["n"][9]
    assert wanted["m.two"][7] and wanted["z"][9]


def test_answers_become_labels_of_the_dataset():
    pool = new_pool()
    picks = Picks((Pick(8, ("z", "m.two"), 2.0), Pick(2, ("n",), 3.0)))
    pool.answer(picks, {"z": [2], "m.two": np.array([1.0]), "n": [0.5]})
    batches = list(pool.dataset(4, shuffle=False))
    x, y, w = batches[-1]
    assert [len(batch[0]) for batch in batches] == [4, 3]  # rows 0 to 5, and 8
    np.testing.assert_array_equal(x, X[[4, 5, 8]])
    np.testing.assert_array_equal(y["z"], [0, 0, 2])
    np.testing.assert_array_equal(w["z"], [0, 0, 1])
    np.testing.assert_array_equal(w["m"], [[1, 0], [1, 0], [0, 1]])
    np.testing.assert_array_equal(batches[0][2]["n"], [0, 0, 1, 0])
    orders = [np.concatenate([x for x, _, _ in pool.dataset(4, seed=seed)]) for seed in (1, 2)]
    assert (orders[0] != orders[1]).any()


def test_a_fraction_for_labels_that_were_whole_is_kept():
    pool = active.Pool(X, {"n": np.arange(ROWS) % 3 - 1}, TASKS[2:])
    assert pool.num_known == {"n": 8}
    picks = Picks((Pick(0, ("n",), 1.0),))
    pool.answer(picks, {"n": [31.5]})
    assert pool.labels["n"][0] == 31.5 and np.isnan(pool.labels["n"][3])
    assert pool.num_known == {"n": 9}


def test_a_loop_that_was_saved_goes_on_as_if_it_had_not_ended(network, tmp_path):
    pool = new_pool()
    for _ in range(2):
        picks = pool.ask(None, 5.0, "random", seed=4)
        pool.answer(picks, answers(picks))
    pool.save(tmp_path / "pool.npz")
    other = new_pool()
    other.restore(tmp_path / "pool.npz")
    assert other.history == pool.history and other.history[0].rule == "random"
    for name in ("z", "m", "n"):
        np.testing.assert_array_equal(other.labels[name], pool.labels[name])
    for rule in ("random", RULES):
        assert other.ask(network, 5.0, rule, seed=4) == pool.ask(network, 5.0, rule, seed=4)
    with pytest.raises(ValueError, match="the file has no labels for the task 'q'"):
        active.Pool(X, {"q": None}, [Task.binary("q")]).restore(tmp_path / "pool.npz")


def test_random_labels_do_not_depend_on_their_price():
    counts = dict.fromkeys(COSTS, 0)
    for seed in range(50):
        for name in new_pool().ask(None, 3.0, "random", seed=seed).picks[0].names:
            counts[name] += 1
    assert counts["n"] > 8 and counts["m.two"] > 4  # 12 and 9 of the 37 labels that are missing


def test_gradients_choose_the_labels_of_columns_too(network):
    pool = active.Pool(X, {"z": None, "m": None}, TASKS[:2])
    picks = pool.ask(network, 6.0, "badge")
    assert picks.cost == 6.0 and picks.rule == "badge"
    assert picks == pool.ask(network, 6.0, "badge") != pool.ask(network, 6.0, "badge", seed=1)


def test_scores_of_any_model_are_taken_with_the_prices_of_the_pool():
    pool = new_pool(bundles={("m.one", "m.two"): 1.5, ("z", "n"): 4.0})
    scores = {"m.one": np.arange(12.0), "m.two": np.zeros(12)}
    picks = pool.pick(scores, 3.0)
    assert [(pick.row, pick.names, pick.cost) for pick in picks] == [
        (11, ("m.one",), 1.0),
        (10, ("m.one", "m.two"), 1.5),
    ]


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda pool, net: pool.ask(net, 5.0), "task 'n' predicts a number, which has no margin"),
        (lambda pool, net: pool.ask(net, 0.5, RULES), "budget of 0.5 buys no label"),
        (lambda pool, net: pool.ask(None, 5.0, RULES), "only rule='random' needs no network"),
        (lambda pool, net: pool.ask(net, 5.0, {"z": "badge"}), "is one for all tasks"),
        (lambda pool, net: pool.ask(net, 5.0, RULES, worth={"q": 1.0}), "worth names 'q'"),
        (lambda pool, net: pool.pick({"m": np.ones(12)}, 5.0), "scores names 'm'"),
        (lambda pool, net: new_pool(costs={"z": 1.0}), "costs has no price for 'm.one'"),
        (lambda pool, net: new_pool(costs=-1.0), "must be a positive number"),
        (lambda pool, net: active.Pool(X, {"z": [0, 1]}, TASKS[:1]), "expected an array"),
        (
            lambda pool, net: active.Pool(X, {"z": np.zeros(3)}, TASKS[:1]),
            "task 'z': there are 3 labels for 12 rows",
        ),
        (lambda pool, net: active.Pool(X, {"z": np.full(12, 7)}, TASKS[:1]), "task 'z'"),
        (lambda pool, net: active.Pool({"a": X, "b": X[:3]}, labels(), TASKS), "lengths [3, 12]"),
        (
            lambda pool, net: active.Pool(X, {"t": None}, [Task.tagging("t", 3)]),
            "task 't' does not say which shape",
        ),
        (
            lambda pool, net: active.Pool(X, {"z": None}, TASKS[:1]).dataset(),
            "no row has a label yet",
        ),
    ],
)
def test_what_cannot_be_asked_is_refused(network, act, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        act(new_pool(), network)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"z": [1], "n": [0.0]}, "answers for 'z' must have the shape (2,)"),
        ({"z": [1, 9], "n": [0.0]}, "task 'z'"),
        ({"z": [1, 0.5], "n": [0.0]}, "task 'z'"),
        ({"z": [1, 0]}, "labels must have the keys ['n', 'z']; received ['z']"),
    ],
)
def test_an_answer_that_does_not_fit_changes_nothing(changed, message):
    pool = new_pool()
    picks = Picks((Pick(8, ("n", "z"), 4.0), Pick(9, ("z",), 2.0)))
    before = pool.labels
    with pytest.raises(ValueError, match=re.escape(message)):
        pool.answer(picks, changed)
    for name, array in pool.labels.items():
        np.testing.assert_array_equal(array, before[name])
    assert not pool.history


def test_picks_tell_what_they_cost():
    picks = new_pool().pick({"z": np.ones(12)}, 4.0)
    assert str(picks) == "labels to buy for 4: z of 2 rows" and len(picks) == 2
