"""Tasks that a balancer does not see: it weighs the others, and the gradient of these is added."""

import keras
import numpy as np
import pytest
import small_problem as problem

import keras_mtl as mtl
from keras_mtl import balancers

GAME = "b"  # the second of three tasks
OTHERS = [0, 2]


def stepped(balancer, **options):
    """Takes one step of SGD at rate 1; returns what it subtracts, the logs and the gradients."""
    model = problem.balanced(balancer, optimizer=keras.optimizers.SGD(1.0), **options)
    shared = problem.variables_of(model.network, "shared")
    batch = problem.batch()
    rows = problem.joined(problem.gradients_by_hand(model.network, shared, *batch))
    before = problem.values(shared)
    towers = problem.values(problem.variables_of(model.network, GAME))
    logs = model.train_on_batch(*batch, return_dict=True)
    after = problem.values(shared)
    moved = problem.joined([[a - b for a, b in zip(before, after, strict=True)]])[0]
    return model, moved, logs, rows, towers


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("MGDA", {}),
        ("Uncertainty", {}),
        ("AdaTask", {}),
        pytest.param("MGDA", {"rescale_weights": True}, marks=pytest.mark.slow),
        pytest.param("PCGrad", {"every": 2}, marks=pytest.mark.slow),
        pytest.param("TrimmedMean", {"rescale_weights": True}, marks=pytest.mark.slow),
        pytest.param("FAMO", {}, marks=pytest.mark.slow),
    ],
)
def test_the_rule_sees_the_others_and_the_game_is_added(kind, options):
    _, moved, logs, rows, _ = stepped(getattr(balancers, kind)(), unbalanced=[GAME], **options)
    assert logs[f"{GAME}_weight"] == 1.0
    # The same rule on plain arrays, of which the game is none.
    balancer = getattr(balancers, kind)()
    losses = np.array([logs[f"{t.name}_loss"] * t.weight for t in problem.tasks()], "float32")
    seen_rows = rows[OTHERS]
    if isinstance(balancer, balancers.GradientBalancer):
        direction = np.array(balancer.merge(seen_rows.astype("float32"), losses[OTHERS]))
    else:
        weights = np.array([logs[f"{problem.tasks()[k].name}_weight"] for k in OTHERS])
        direction = weights @ seen_rows
        if isinstance(balancer, balancers.GramianBalancer):
            gramian = (seen_rows @ seen_rows.T).astype("float32")
            expected = np.array(balancer.weigh(gramian, losses[OTHERS]))
            if options.get("rescale_weights"):
                expected *= 2 / expected.sum()
            np.testing.assert_allclose(weights, expected, atol=2e-5)
        elif kind == "Uncertainty":
            np.testing.assert_allclose(weights, [1.0, 0.5], atol=1e-6)
    if kind != "TrimmedMean":  # whose length is rescaled by weights that are nearest to it
        np.testing.assert_allclose(moved - rows[1], direction, atol=3e-6)
    else:
        assert abs(np.corrcoef(moved - rows[1], direction)[0, 1]) > 0.9999


def test_evaluation_reuse_and_saving_keep_it(tmp_path):
    model = mtl.BalancedModel(
        problem.network(), problem.tasks(), balancers.Uncertainty(), unbalanced=[GAME], every=2
    )
    model.compile("sgd", run_eagerly=True)
    history = model.fit(problem.dataset(2), verbose=0, shuffle=False).history
    assert history[f"{GAME}_weight"] == [1.0]
    logs = model.evaluate(problem.dataset(1), verbose=0, return_dict=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.unbalanced == (GAME,)
    assert loaded.evaluate(problem.dataset(1), verbose=0, return_dict=True) == logs
    variable = model.balancer.trainable_variables[0].numpy()
    terms = [logs[f"{t.name}_loss"] * t.weight for t in problem.tasks()]
    seen = model.balancer.evaluate
    with model.balancer.on_tasks(np.array(OTHERS)):
        expected = float(seen(np.array([terms[0], terms[2]], "float32"))) + terms[1]
    assert logs["loss"] == pytest.approx(expected, rel=1e-5)
    assert variable[1] == 0 and np.all(variable[OTHERS] != 0)


@pytest.mark.parametrize(
    ("balancer", "unbalanced", "message"),
    [
        (balancers.MGDA(), "b", "unbalanced must be a list of names of .*; received 'b'"),
        (balancers.MGDA(), ["bb"], r"names of .'z', 'b', 'r'.; received .'bb'."),
        (balancers.PCGrad(), ["b", "r"], r"PCGrad needs at least 2 tasks, and .* leaves .'z'."),
        (balancers.Equal(), ["z", "b", "r"], r"Equal needs at least 1 tasks, and .* leaves \[\]"),
        (balancers.MoDo(), ["b"], r"MoDo takes a preference .* received unbalanced=.'b'."),
        (balancers.FORUM(), ["b"], r"FORUM takes a preference .* received unbalanced=.'b'."),
    ],
)
def test_what_leaves_too_few_or_does_not_fit_is_refused(balancer, unbalanced, message):
    with pytest.raises(ValueError, match=message):
        mtl.BalancedModel(problem.network(), problem.tasks(), balancer, unbalanced=unbalanced)
