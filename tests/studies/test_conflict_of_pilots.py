"""Conflict as the pilot of an advice sees it: planted, absent, and beside a reference."""

import keras
import numpy as np
import pytest

import keras_mtl as mtl
from keras_mtl import Task, analysis, datasets
from keras_mtl.studies._advice._conflict import (
    MeasureConflict,
    conflicting_pairs,
    describe_conflict,
)

NAMES = ["a", "b", "c"]


def matrix(of_pairs):
    """Returns a symmetric matrix of three tasks from the numbers of pairs ab, ac and bc."""
    full = np.eye(3)
    full[np.triu_indices(3, 1)] = of_pairs
    return np.where(full == 0, full.T, full)


@pytest.mark.parametrize(
    ("cosines", "errors", "pairs"),
    [
        ((0.5, 0.1, 0.9), (0.1, 0.1, 0.1), []),
        ((-0.29, 0.1, 0.9), (0.01, 0.1, 0.1), []),  # as unrelated tasks may have
        ((-0.4, 0.1, -0.9), (0.1, 0.1, 0.1), [(1, 2), (0, 1)]),  # the strongest first
        ((-0.4, 0.1, -0.9), (0.21, 0.1, 0.5), []),  # within two errors of 0
        ((-0.4, np.nan, np.nan), (0.1, np.nan, np.nan), [(0, 1)]),
        ((-0.9, 0.1, 0.1), (np.nan, 0.1, 0.1), []),  # of a single measurement
        ((np.nan, np.nan, np.nan), (np.nan, np.nan, np.nan), []),
    ],
)
def test_pairs_conflict_beyond_a_cosine_and_beyond_noise(cosines, errors, pairs):
    assert conflicting_pairs(matrix(cosines), matrix(errors)) == pairs


def test_what_was_seen_is_a_sentence():
    errors = matrix((0.1, 0.1, 0.1))
    seen = describe_conflict(matrix((-0.4, 0.1, -0.9)), errors, NAMES)
    assert "of 2 of 3 pairs of tasks" in seen and "most b and c (cosine -0.90)" in seen
    assert "(lowest cosine -0.20)" in describe_conflict(matrix((-0.2, 0.1, 0.3)), errors, NAMES)
    assert "smaller than their noise" in describe_conflict(matrix((np.nan,) * 3), errors, NAMES)


def one_score(tasks):
    """Builds a network of one score: its tasks cannot turn it."""
    inputs = keras.Input((32,))
    # Small at first: outputs that are far too large make all gradients agree to lessen them.
    small = keras.initializers.RandomNormal(stddev=0.02)
    hidden = keras.layers.Dense(8, activation="relu")(inputs)
    score = keras.layers.Dense(1, kernel_initializer=small)(hidden)
    return keras.Model(
        inputs,
        {
            task.name: keras.layers.Dense(
                1, kernel_initializer="ones", kernel_constraint="non_neg", name=task.name
            )(score)
            for task in tasks
        },
    )


def measured(turned, epochs=2, rows=4096):
    """Trains three tasks with the labels of the first one, and its negative for those turned."""
    data = datasets.synthetic_groups(1, 1, rows=rows, seed=3)
    tasks = [Task.regression(name) for name in NAMES]
    sign = {name: -1.0 if name in turned else 1.0 for name in NAMES}
    batches = data.train.map(
        lambda x, y: (x, {name: sign[name] * y["task_0"] for name in NAMES})
    ).batch(256)
    keras.utils.set_random_seed(0)
    network = one_score(tasks)
    network.compile(keras.optimizers.Adam(3e-3), **mtl.compile_args(tasks))
    conflict = MeasureConflict(batches, tasks, epochs, 8)
    network.fit(batches, epochs=epochs + 1, callbacks=[conflict], verbose=0, shuffle=False)
    return network, batches, tasks, conflict


def test_planted_conflict_is_seen_and_nothing_else():
    *_, conflict = measured(turned=["b"])
    assert set(conflicting_pairs(*conflict.cosines())) == {(0, 1), (1, 2)}
    *_, conflict = measured(turned=[])
    assert conflicting_pairs(*conflict.cosines()) == []


def test_cosines_and_errors_are_those_of_the_measured_gradients():
    network, batches, tasks, conflict = measured(turned=["c"], epochs=1)
    # The network trained for one more epoch, so that it is measured anew.
    again = MeasureConflict(batches, tasks, 2, 8)
    again.set_model(network)
    for epoch in range(3):  # of which the first two count
        again.on_epoch_end(epoch)
    cosines, errors = again.cosines()
    steps = analysis.gradient_gramian(network, batches, tasks, steps=8).gramians.astype(np.float64)
    mean = steps.mean(axis=0)
    lengths = np.sqrt(np.diag(mean))
    np.testing.assert_allclose(cosines, mean / np.outer(lengths, lengths), rtol=1e-4)
    expected = steps.std(axis=0, ddof=1) / np.sqrt(2 * len(steps)) / np.outer(lengths, lengths)
    np.testing.assert_allclose(errors, expected, rtol=1e-4)
    assert conflict.seconds > 0


def test_a_single_pair_of_batches_claims_no_conflict():
    *_, conflict = measured(turned=["b"], epochs=1, rows=512)
    cosines, errors = conflict.cosines()
    assert np.isnan(errors).all() and conflicting_pairs(cosines, errors) == []
