"""When two answers are too far apart."""

import numpy as np
import pytest

from keras_mtl.export._formats._differences import (
    check_answers,
    is_too_far,
    largest_difference,
    rounding_noise,
)

BASE = np.array([[0.5], [2.0]], "float32")


@pytest.mark.parametrize(
    ("scale", "step", "is_far"),
    [
        (1.0, 1e-6, False),
        (1.0, 3e-6, True),  # of 2, the largest answer
        (1e4, 1e-2, False),
        (1e4, 3e-2, True),
        (1e-3, 1.5e-7, False),  # below 1e-4 of the largest answer
        (1e-3, 2.5e-7, True),
    ],
)
def test_the_allowed_difference_grows_with_the_answers(scale, step, is_far):
    expected = scale * np.array([[0.5], [2.0]])
    assert is_too_far(expected, expected + np.array([[step], [0]]), 1e-6) == is_far


@pytest.mark.parametrize(
    "answer",
    [
        np.array([[0.5], [np.nan]], "float32"),
        np.array([[0.5], [np.inf]], "float32"),
        np.array([0.5, 2.0], "float32"),
    ],
)
def test_gaps_and_shapes_that_differ_are_infinitely_far(answer):
    assert largest_difference(BASE, answer) == np.inf
    assert largest_difference(answer, BASE) == np.inf
    assert largest_difference(answer, answer) == 0


def test_whole_numbers_are_equal_or_wrong():
    ones = np.ones((4, 1), "int32")
    assert not is_too_far(ones, ones, 1e-6)
    assert is_too_far(ones, ones + (np.arange(4) == 2)[:, None], 1e-6)


def test_the_message_names_the_task_that_is_moved_most():
    expected = {"b": BASE, "a": BASE, "c": BASE}
    answers = {"b": BASE + 1, "a": BASE, "c": BASE + np.float32(0.1)}
    message = r"^task 'task of b' is moved.* by 1 .*differ: \['b', 'c'\]"
    with pytest.raises(ValueError, match=message):
        check_answers(expected, answers, {}, "task of {}".format, 1e-6)
    with pytest.raises(ValueError, match=r"outputs are \['a'\]; .* has \['a', 'b', 'c'\]"):
        check_answers(expected, {"a": BASE}, {}, str, 1e-6)


def test_what_cancels_inside_of_a_network_may_differ_as_much_as_its_rounding():
    rows = np.float32([[1e5, 1.0], [1.0, 2.0], [3.0, 5.0], [2e5, 1.0]])
    sums = (rows[:, :1] - rows[:, :1] * np.float32(1 - 1e-6)) + rows[:, 1:]
    noise = rounding_noise(sums, sums + np.float32([[0.05], [0], [0], [0.05]]))
    assert is_too_far(sums, sums + np.float32([[0], [1e-3], [0], [0]]), 1e-6, noise)
    moved = sums + np.float32([[1e-4], [0], [0], [0]])
    assert is_too_far(sums, moved, 1e-6) and not is_too_far(sums, moved, 1e-6, noise)
    # A number that changed its bin excuses no error above 1e-4 of the scale.
    assert is_too_far(sums, sums + np.float32([[1e-3], [0], [0], [0]]), 1e-6, noise)
