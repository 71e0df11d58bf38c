"""Weights of modalities, beside golden values."""

import re

import pytest

from keras_mtl.analysis import blending_weights


def test_the_golden_values():
    training = {"sound": [1.5, 0.7], "image": [1.0, 0.5]}
    validation = {"image": [1.0, 0.6], "sound": [2.0, 1.7]}  # G .4, .3; O .1, .5
    weights = blending_weights(training, validation)
    assert list(weights) == ["sound", "image"]
    assert weights["image"] == pytest.approx(0.9709, abs=5e-5)
    assert weights["sound"] == pytest.approx(0.0291, abs=5e-5)


def test_a_gap_that_shrinks_counts_as_one_that_grows():
    training = {"a": [1.0, 0.5], "b": [1.0, 0.8]}
    validation = {"a": [1.0, 0.7], "b": [1.0, 0.6]}  # G .3, .4; the gaps change by .2 and -.2
    assert blending_weights(training, validation) == pytest.approx({"a": 3 / 7, "b": 4 / 7})


def test_losses_that_rise_and_gaps_that_stay_are_cut():
    training = {"a": [1.0, 0.5], "b": [1.0, 0.5], "c": [1.0, 0.9]}
    validation = {"a": [1.0, 1.2], "b": [1.0, 0.5], "c": [1.0, 0.8]}
    weights = blending_weights(training, validation, least_growth=0.1)
    # b: .5 / .02; c: .2 / .02
    assert weights == pytest.approx({"a": 0.0, "b": 5 / 7, "c": 2 / 7})


@pytest.mark.parametrize(
    ("training", "validation", "message"),
    [
        ({}, {}, "the same modalities, one at least"),
        ({"a": [1, 2]}, {"b": [1, 2]}, "received ['a'] and ['b']"),
        ({"a": [1.0]}, {"a": [1.0]}, "modality 'a': losses must be two finite numbers"),
        ({"a": [1.0, float("nan")]}, {"a": [1.0, 1.0]}, "modality 'a'"),
        ({"a": [1.0, 0.5]}, {"a": [1.0, 1.0]}, "no modality of ['a'] has gained anything"),
    ],
)
def test_what_has_no_weights_is_refused(training, validation, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        blending_weights(training, validation)
