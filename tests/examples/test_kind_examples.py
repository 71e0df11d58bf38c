"""The examples of kinds of tasks, run as a user runs them, for a few steps."""

import importlib
import pathlib
import sys

import keras
import numpy as np
import pytest

sys.path.append(str(pathlib.Path(__file__).parents[2] / "examples"))

clusters = importlib.import_module("22_clusters")
coarse_labels = importlib.import_module("15_coarse_labels")
task_kinds = importlib.import_module("14_task_kinds")


def test_clusters_have_the_golden_values():
    layer = clusters.Assignments()
    layer.build((None, 2))
    layer.centers.assign(np.concatenate([[[0.0, 0.0], [3.0, 0.0]], np.full((8, 2), 1e9)]))
    q = np.array(layer(np.array([[0.0, 0.0], [1.0, 0.0], [3.0, 0.0]])))[:, :2]
    np.testing.assert_allclose(q[:, 0], [0.9091, 0.7143, 0.0909], atol=5e-5)
    value = keras.losses.KLDivergence()(clusters.sharpen(q), q)
    np.testing.assert_allclose(value, 0.0522, atol=5e-5)


@pytest.mark.slow
def test_clusters_beside_a_supervised_task_do_not_collapse():
    before, after = clusters.main(epochs=5)
    assert 0.3 < before < 1 and after > before - 0.02


@pytest.mark.slow
def test_coarse_labels_help_the_fine_task():
    results = coarse_labels.main(epochs=20)
    assert results["with groups"] > results["digits alone"] + 0.02


@pytest.mark.slow
def test_all_kinds_learn_in_one_network():
    scores = task_kinds.main(epochs=2, rows=800)
    assert scores["stars_rank_mae"] < 1.3 and 0.4 < scores["relapse_concordance"] < 1
    assert np.isfinite(list(scores.values())).all()
