"""Transfer between tasks: the definition, golden values, and what is missing."""

import numpy as np
import pandas as pd
import pytest

from keras_mtl.analysis import group_tasks, rank_sources, transfer_matrix
from keras_mtl.analysis._rank_sources import principal_shares

WINS = np.array([[0.5, 0.7, 0.9], [0.3, 0.5, 0.6], [0.1, 0.4, 0.5]])


def test_golden_value_of_the_ordinal_variant():
    shares, eigenvalue = principal_shares(WINS)
    np.testing.assert_allclose(shares, [0.682572, 0.213524, 0.103904], atol=5e-7)
    assert eigenvalue == pytest.approx(3.099933, abs=5e-7)


def test_the_eigenvector_is_that_of_powers_of_the_matrix():
    wins = np.random.default_rng(0).uniform(size=(6, 6))
    wins = (wins + 1 - wins.T) / 2
    ratio = wins / wins.T
    vector = np.linalg.matrix_power(ratio, 60) @ np.ones(6)
    np.testing.assert_allclose(principal_shares(wins)[0], vector / vector.sum(), rtol=1e-9)


def test_wins_are_counted_row_by_row():
    losses = {"b": [1, 2, 3, 4, np.nan], "a": [1, 3, 1, 9, 0]}
    result = rank_sources(losses)
    # One tie, two wins of b, one of a, and a row that b lacks.
    np.testing.assert_allclose(result.wins, [[0.5, 0.625], [0.375, 0.5]])
    np.testing.assert_allclose(result.shares, [0.625, 0.375])
    assert result.eigenvalue == pytest.approx(2)
    frame = rank_sources(pd.DataFrame(losses))
    np.testing.assert_array_equal(frame.wins, result.wins)


def test_permuting_the_sources_permutes_their_shares():
    losses = np.random.default_rng(1).normal(size=(5, 40)) + np.arange(5)[:, None]
    names = list("ecadb")
    order = [3, 0, 4, 1, 2]
    before = rank_sources(dict(zip(names, losses, strict=True)))
    after = rank_sources({names[index]: losses[index] for index in order})
    np.testing.assert_allclose(after.shares, before.shares[order])
    assert before.shares[0] == before.shares.max()
    assert str(before).splitlines()[1].startswith("e")


def test_one_source_has_all():
    assert rank_sources({"b": [1.0, 2.0]}).shares.tolist() == [1]


def test_the_matrix_is_the_definition():
    draws = np.random.default_rng(2)
    metrics, random = draws.uniform(0.6, 0.9, (4, 4)), draws.uniform(0.4, 0.5, 4)
    result = transfer_matrix(metrics, random=random).values
    for source in range(4):
        for target in range(4):
            expected = (metrics[source, target] - random[target]) / (
                metrics[target, target] - random[target]
            )
            assert result[source, target] == pytest.approx(expected)
    np.testing.assert_allclose(np.diagonal(result), 1)


def test_the_direction_and_the_unit_of_a_metric_change_nothing():
    metrics = np.array([[0.9, 0.7], [0.8, 0.8]])
    expected = transfer_matrix(metrics, random=0.6).values
    turned = transfer_matrix(metrics * [1, -50], random=[0.6, -30], maximize=[True, False])
    np.testing.assert_allclose(turned.values, expected)


def test_a_target_whose_encoder_is_no_better_than_random_is_missing():
    metrics = pd.DataFrame([[0.5, 0.7], [0.8, 0.8]], index=["b", "a"], columns=["b", "a"])
    result = transfer_matrix(metrics, random={"a": 0.6, "b": 0.6})
    assert result.missing == {"b": "its own encoder is no better than a random one"}
    assert np.isnan(result.values[:, 0]).all()
    assert result.values[0, 1] == pytest.approx(0.5)
    assert "b: its own encoder" in str(result)


def test_a_transfer_that_was_not_trained_is_missing_alone():
    result = transfer_matrix([[0.9, np.nan], [0.8, 0.8]], random=0.6)
    assert np.isnan(result.values[0, 1])
    assert np.isnan(result.values).sum() == 1
    diagonal = transfer_matrix([[np.nan, 0.7], [0.8, 0.8]], random=0.6, tasks="ba")
    assert diagonal.missing == {"b": "the metric on its own encoder is missing"}


def test_transfers_are_affinities_of_groups():
    metrics = [[0.9, 0.88, 0.6], [0.88, 0.9, 0.6], [0.5, 0.5, 0.9]]
    values = transfer_matrix(metrics, random=0.5).values
    groups = group_tasks(values, networks=2, alone=1 / 2).groups
    assert groups == (("0", "1"), ("2",))


@pytest.mark.parametrize(
    ("function", "arguments", "error", "message"),
    [
        (transfer_matrix, {"metrics": [[1, 2]], "random": 0}, ValueError, "metrics has shape"),
        (
            transfer_matrix,
            {"metrics": [[np.inf]], "random": 0},
            ValueError,
            "target '0' has metrics",
        ),
        (transfer_matrix, {"metrics": [[1]], "random": [0, 1]}, ValueError, "random has 2 values"),
        (transfer_matrix, {"metrics": np.zeros((0, 0)), "random": 0}, ValueError, "no tasks"),
        (rank_sources, {"losses": [[1, 2]]}, TypeError, "losses is of type list"),
        (rank_sources, {"losses": {}}, ValueError, "losses is empty"),
        (
            rank_sources,
            {"losses": {"b": [1, 2], "a": [1]}},
            ValueError,
            "source 'a' has 1 rows and 'b' 2",
        ),
        (
            rank_sources,
            {"losses": {"b": [1, np.nan], "a": [np.nan, 1]}},
            ValueError,
            "sources 'b' and 'a' share no row",
        ),
    ],
)
def test_what_are_no_transfers_is_refused(function, arguments, error, message):
    with pytest.raises(error, match=message):
        function(**arguments)
