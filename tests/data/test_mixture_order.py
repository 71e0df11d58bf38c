import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_mtl.data import Annealed, Temperature
from keras_mtl.data._mixing._order import draw_cycle, draw_schedule, first_end, last_end

SIZES = {"b": 1000, "a": 100, "c": 10}
RATES = st.lists(st.floats(0.01, 1), min_size=1, max_size=6)


def named(numbers):
    return {f"set{place}": number for place, number in enumerate(numbers)}


@pytest.mark.parametrize(
    ("temperature", "cap", "expected"),
    [
        (1, None, [0.9009, 0.0901, 0.0090]),
        (2, None, [0.7061, 0.2233, 0.0706]),
        (5, None, [0.4928, 0.3110, 0.1962]),
        (1, 100, [0.4762, 0.4762, 0.0476]),
    ],
)
def test_temperatures_give_the_golden_rates(temperature, cap, expected):
    sampling = Temperature(temperature, cap)
    np.testing.assert_allclose(sampling.rates(list(SIZES.values())), expected, atol=5e-5)
    counts = np.bincount(draw_cycle(sampling, SIZES, 1, seed=0))
    np.testing.assert_allclose(counts / counts.sum(), expected, atol=1e-4)


def test_annealing_goes_from_proportional_to_nearly_uniform_by_epochs():
    steps, draws = 200, 50
    ids = draw_schedule(Annealed(epochs=10), SIZES, steps, draws, seed=0)
    for epoch, expected in [(1, [0.9009, 0.0901, 0.0090]), (5, [0.7824, 0.1774, 0.0402])]:
        in_epoch = ids[20 * (epoch - 1) : 20 * epoch]
        np.testing.assert_allclose(
            np.bincount(in_epoch.ravel()) / in_epoch.size, expected, atol=0.01
        )
    last = np.bincount(ids[-20:].ravel()) / (20 * draws)
    np.testing.assert_allclose(last, [0.4928, 0.3110, 0.1962], atol=0.01)
    assert Annealed(epochs=1).rates([1, 1], 1).tolist() == [0.5, 0.5]


@settings(deadline=None, max_examples=40)
@given(RATES, st.integers(1, 100), st.integers(0, 5))
def test_each_set_has_its_share_of_a_cycle_to_one_draw(numbers, batch_size, seed):
    rates = named(np.array(numbers) / sum(numbers))
    cycle = draw_cycle(rates, named([None] * len(numbers)), batch_size, seed)
    assert len(cycle) % batch_size == 0
    counts = np.bincount(cycle, minlength=len(numbers))
    assert np.abs(counts - np.array(list(rates.values())) * len(cycle)).max() < 1


def test_draws_are_mixed_as_by_chance():
    cycle = draw_cycle({"b": 0.25, "a": 0.75}, {"b": None, "a": None}, 1, seed=0)
    windows = cycle.reshape(-1, 64).sum(axis=1)
    # Draws by chance have the variance n p (1 - p) = 12; sorted ones 16 times n, even ones 0.
    assert 10 < windows.var() < 14
    assert not np.array_equal(cycle, draw_cycle({"b": 0.25, "a": 0.75}, dict.fromkeys("ba"), 1, 1))


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=4),
    st.sampled_from(["uniform", "round_robin", "proportional"]),
    st.integers(0, 5),
)
def test_ends_are_where_counting_finds_them(numbers, sampling, seed):
    sizes = named(numbers)
    cycle = draw_cycle(sampling, sizes, 1, seed)
    drawn = np.zeros(len(numbers), int)
    first = last = None
    for count, place in enumerate(itertools.cycle(cycle)):
        if first is None and drawn[place] == numbers[place]:
            first = count
        drawn[place] += 1
        if last is None and (drawn >= numbers).all():
            last = count + 1
        if first is not None and last is not None:
            break
    assert (first_end(cycle, sizes), last_end(cycle, sizes)) == (first, last)
    if sampling == "proportional":
        assert first == last == sum(numbers)


def test_large_sets_are_counted_without_being_read():
    sizes = {"b": 10**12, "a": 10**9, "c": 7}
    cycle = draw_cycle("proportional", sizes, 64, seed=0)
    assert np.bincount(cycle)[2] == 1
    assert last_end(cycle, sizes) >= 10**12
    assert first_end(cycle, sizes) <= 8 * len(cycle)


@settings(deadline=None, max_examples=40)
@given(RATES, st.integers(1, 60), st.integers(0, 5))
def test_each_step_of_a_schedule_draws_by_the_rates_to_one_draw(numbers, draws, seed):
    rates = named(np.array(numbers) / sum(numbers))
    sizes = dict.fromkeys(rates)
    ids = draw_schedule(lambda step: rates, sizes, 3, draws, seed)
    for row in ids:
        counts = np.bincount(row, minlength=len(numbers))
        assert np.abs(counts - np.array(list(rates.values())) * draws).max() < 1 + 1e-9


def test_single_draws_of_a_schedule_come_by_chance():
    ids = draw_schedule(lambda step: {"b": 0.3, "a": 0.7}, dict.fromkeys("ba"), 4000, 1, seed=0)
    assert abs(ids.mean() - 0.7) < 4 * np.sqrt(0.21 / 4000)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Temperature(0), "temperature must be a number > 0; received 0"),
        (lambda: Temperature(2, cap=0), "cap must be at least 1 example; received 0"),
        (lambda: Annealed(0), "epochs must be at least 1; received 0"),
    ],
)
def test_parameters_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_schedule_that_gives_no_rates_is_refused():
    with pytest.raises(TypeError, match=r"sampling\(0\) must be a dict of rates by set; it is 3"):
        draw_schedule(lambda step: 3, SIZES, 2, 2, seed=0)
