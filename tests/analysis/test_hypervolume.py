"""Hypervolumes: golden values, closed forms of known fronts, inclusion and exclusion."""

import itertools

import numpy as np
import pandas as pd
import pytest

from keras_mtl.analysis import hypervolume, pareto_front

GOLDEN = [
    ([(1, 4), (2, 2), (4, 1), (3, 3)], (5, 5), 11),
    ([(1, 2, 3), (2, 1, 3), (3, 3, 1), (2, 2, 2)], (4, 4, 4), 13),
    ([(1, 6), (2, 2)], (5, 5), 9),
]


@pytest.mark.parametrize(("points", "reference", "volume"), GOLDEN)
def test_golden_values(points, reference, volume):
    assert hypervolume(points, reference=reference, maximize=False) == volume
    negative = -np.array(points, float)
    assert hypervolume(negative, reference=[-value for value in reference]) == volume


STEPS = np.linspace(0, 1, 20_001)
FRONTS = {
    "ZDT1": (STEPS, 1 - np.sqrt(STEPS)),
    "ZDT2": (STEPS, 1 - STEPS**2),
    "ZDT3": (STEPS, 1 - np.sqrt(STEPS) - STEPS * np.sin(10 * np.pi * STEPS)),
}


@pytest.mark.parametrize(
    ("name", "volumes"),
    [
        ("ZDT1", (0.666667, 0.876667, 3.666667, 120.666667)),
        ("ZDT2", (0.333333, 0.543333, 3.333333, 120.333333)),
        ("ZDT3", (1.044426, 1.331763, 4.817795, 128.778116)),
    ],
)
def test_known_fronts_have_their_volumes(name, volumes):
    points = np.transpose(FRONTS[name])
    for reference, volume in zip((1, 1.1, 2, 11), volumes, strict=True):
        result = hypervolume(points, reference=reference, maximize=False)
        assert volume - 1e-3 < result < volume + 1e-6


def test_the_sphere_of_dtlz2_is_approached_from_below():
    angles = np.linspace(0, np.pi / 2, 36)
    first, second = (grid.ravel() for grid in np.meshgrid(angles, angles))
    front = np.stack(
        [np.cos(first) * np.cos(second), np.cos(first) * np.sin(second), np.sin(first)], axis=1
    )
    assert 0.76 < hypervolume(front, reference=1.1, maximize=False) < 0.807401
    assert hypervolume(0.95 * front, reference=1.1, maximize=False) > 0.807401


def test_the_concave_front_of_paretomtl_and_its_ends():
    place = np.linspace(-1, 1, 20_001)
    front = np.stack([1 - np.exp(-((place - 1) ** 2)), 1 - np.exp(-((place + 1) ** 2))], axis=1)
    result = hypervolume(front, reference=1.1, maximize=False)
    assert result == pytest.approx(0.552116, abs=1e-4)
    ends = hypervolume(front[[0, -1]], reference=1.1, maximize=False)
    assert ends == pytest.approx(0.246296, abs=1e-6)


def volume_by_inclusion_and_exclusion(sizes):
    total = 0.0
    for count in range(1, len(sizes) + 1):
        for chosen in itertools.combinations(sizes, count):
            total -= (-1) ** count * np.prod(np.min(chosen, axis=0))
    return total


@pytest.mark.parametrize("num_objectives", [1, 2, 3, 4, 5])
def test_the_volume_is_that_of_inclusion_and_exclusion(num_objectives):
    draws = np.random.default_rng(num_objectives)
    for num_points in (1, 2, 5, 9):
        sizes = draws.uniform(size=(num_points, num_objectives))
        expected = volume_by_inclusion_and_exclusion(sizes)
        assert hypervolume(sizes, reference=0) == pytest.approx(expected, rel=1e-12)
        ties = draws.integers(1, 4, (num_points, num_objectives))
        expected = volume_by_inclusion_and_exclusion(ties.astype(float))
        assert hypervolume(ties, reference=0) == pytest.approx(expected, rel=1e-12)


def test_dominated_points_and_the_order_of_points_and_objectives_change_nothing():
    draws = np.random.default_rng(0)
    points = draws.uniform(size=(30, 3))
    volume = hypervolume(points, reference=[0, 0.1, 0.2])
    front = pareto_front(points).points
    assert hypervolume(front, reference=[0, 0.1, 0.2]) == pytest.approx(volume, rel=1e-12)
    permuted = hypervolume(points[::-1][:, [2, 0, 1]], reference=[0.2, 0, 0.1])
    assert permuted == pytest.approx(volume, rel=1e-12)


def test_the_volume_never_falls_when_points_are_added():
    points = np.random.default_rng(1).normal(size=(25, 3))
    volumes = [hypervolume(points[:count], reference=-1) for count in range(26)]
    assert volumes[0] == 0
    assert (np.diff(volumes) >= 0).all()


def test_points_that_are_not_better_than_the_reference_everywhere_count_0():
    assert hypervolume([[1, 0], [0, 1], [-1, 5]], reference=0) == 0
    assert hypervolume([[1, 1], [9, np.nan], [np.inf, 9]], reference=0) == 1


def test_the_share_is_that_of_the_box():
    points = np.random.default_rng(2).uniform(-0.1, 0.3, (20, 3))
    share = hypervolume(points, utopia=0.4)
    assert share == pytest.approx(hypervolume(points) / 0.5**3, rel=1e-12)
    losses = hypervolume(-points, reference=0.1, maximize=False, utopia=-0.4)
    assert losses == pytest.approx(share, rel=1e-12)
    assert hypervolume([[0.4, 0.4]], utopia=0.4) == 1


def test_frames_with_gaps_and_directions_by_name_are_read():
    frame = pd.DataFrame({"auc": [0.7, 0.8, None], "rmse": [1.0, 2.0, 0.5]}, index=["a", "b", "c"])
    result = hypervolume(
        frame, reference={"rmse": 3, "auc": 0.5}, maximize={"auc": True, "rmse": False}
    )
    assert result == pytest.approx(0.2 * 2 + 0.1 * 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"reference": np.nan}, "reference is nan; expected finite numbers"),
        ({"reference": [0, 0, 0]}, "reference has 3 values; expected one, or 2"),
        ({"reference": {"a": 0, "b": 0}}, r"reference has the names \['a', 'b'\]"),
        ({"utopia": -0.1}, "objective '0': utopia -0.1 is not better than the reference -0.1"),
        ({"utopia": 0.2}, "objective '1': a point has 0.3, which is better than utopia 0.2"),
    ],
)
def test_bounds_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        hypervolume([[0.1, 0.3]], **arguments)
