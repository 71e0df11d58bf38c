"""Numbers that users bring: of Python, NumPy, pandas; and what is no number, refused by name."""

import decimal
import fractions

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import Task
from keras_mtl.data import (
    Annealed,
    DecodeImages,
    LabelSummary,
    Temperature,
    balanced_class_weights,
    class_weights,
    mask_missing,
    mixture,
    resample,
    text_encoder,
    weigh_tasks,
)

KIND = Task.multiclass("kind", 3)
LABELS = np.array([0, 1, 1, 2, 2, 2])
TEXTS = tf.data.Dataset.from_tensor_slices(["a b", "b"]).batch(2)

NUMBERS = [
    2,
    2.0,
    np.int8(2),
    np.uint64(2),
    np.float16(2),
    np.float32(2),
    np.float64(2),
    np.array(2),
    np.array(2.0, "float32"),
    tf.constant(2.0),
    tf.constant(2),
    decimal.Decimal(2),
    fractions.Fraction(2),
]
NO_NUMBERS = [
    True,
    np.bool_(True),
    np.array(True),
    float("nan"),
    np.float32("nan"),
    float("inf"),
    -np.inf,
    "2",
    np.str_("2"),
    b"2",
    None,
    [2],
    np.array([2.0]),
    np.datetime64("2020-01-01"),
    2 + 0j,
    {},
]


def names(values):
    return [f"{type(value).__name__}-{value}".replace("\n", "") for value in values]


each_number = pytest.mark.parametrize("number", NUMBERS, ids=names(NUMBERS))
each_wrong = pytest.mark.parametrize("wrong", NO_NUMBERS, ids=names(NO_NUMBERS))


def rows():
    return tf.data.Dataset.from_tensor_slices((np.arange(6), {"kind": LABELS}))


def weigh(weights):
    ((_, _, w),) = class_weights(rows().batch(6), [KIND], {"kind": weights})
    return w["kind"].numpy().tolist()


def draw(rates):
    return [int(y["kind"]) for _, y in resample(rows(), KIND, rates=rates)]


def mix(**options):
    sets = {"some": rows(), "more": rows()}
    return [x.numpy().tolist() for x, _, _ in mixture(sets, [KIND], **options)]


@each_number
def test_class_weights_may_be_any_kind_of_number(number):
    assert weigh({1: number, 2: 0.5}) == [1, 2, 2, 0.5, 0.5, 0.5]


@each_wrong
def test_class_weights_that_are_no_numbers_are_refused_by_task_and_class(wrong):
    with pytest.raises(ValueError, match=r"task 'kind': class 1 weighs .*; expected a finite numb"):
        weigh({1: wrong})


@pytest.mark.parametrize("key", [1, 1.0, np.int64(1), np.float32(1)])
def test_classes_may_be_named_by_any_kind_of_number(key):
    assert weigh({key: 2.0}) == [1, 2, 2, 1, 1, 1]


@pytest.mark.parametrize("key", ["1", True, 3, -1, 0.5, float("nan"), None, (1,)])
def test_classes_that_a_task_does_not_have_are_refused(key):
    with pytest.raises(ValueError, match=r"'kind': a class is named .*; expected a whole number f"):
        weigh({key: 2.0})


@pytest.mark.parametrize("sequence", [[3.0, 2.0, 0.5], (3, 2, 0.5), np.array([3, 2, 0.5])])
def test_class_weights_may_be_a_sequence_with_one_number_per_class(sequence):
    assert weigh(sequence) == [3, 2, 2, 0.5, 0.5, 0.5]


def test_class_weights_of_scikit_learn_are_those_of_the_counts():
    from sklearn.utils.class_weight import compute_class_weight

    theirs = compute_class_weight("balanced", classes=np.arange(3), y=LABELS)
    counts = LabelSummary(classes=dict(enumerate(np.bincount(LABELS))))
    balanced = balanced_class_weights({"kind": counts})["kind"]
    np.testing.assert_allclose(weigh(theirs), weigh(balanced), rtol=1e-7)


@pytest.mark.parametrize("weights", [[1.0, 2.0], 2.0, None, "balanced", np.ones((3, 1))])
def test_weights_that_name_no_classes_are_refused(weights):
    with pytest.raises(ValueError, match="'kind': expected a dict from class to number, or a seq"):
        weigh(weights)
    with pytest.raises(TypeError, match="weights must be a dict by task"):
        class_weights(rows().batch(6), [KIND], weights)


def test_rates_may_be_any_kind_of_number():
    kinds = np.float32(0.25), fractions.Fraction(3, 4)
    assert draw(dict(zip((0, 2), kinds, strict=True))) == draw({0: 0.25, 2: 0.75})
    rates = {"some": np.array(0.25), "more": decimal.Decimal("0.75")}
    assert mix(sampling=rates) == mix(sampling={"some": 0.25, "more": 0.75})


@pytest.mark.parametrize("wrong", [True, float("nan"), "0.5", None, [0.5]])
def test_rates_that_are_no_numbers_are_refused_by_name(wrong):
    with pytest.raises(ValueError, match=r"task 'kind': class 2 has the rate .*; expected a finit"):
        draw({0: 0.5, 2: wrong})
    with pytest.raises(ValueError, match=r"set 'more': its rate in sampling is .*; expected a fin"):
        mix(sampling={"some": 0.5, "more": wrong})


def test_rates_of_another_sum_or_kind_are_refused_by_task():
    with pytest.raises(ValueError, match=r"task 'kind': the rates in sampling sum to 1\.1"):
        draw({0: 0.5, 2: 0.6})
    with pytest.raises(ValueError, match="task 'kind': rates is 'even'; expected 'uniform' or"):
        draw("even")


WHOLE = {
    "batch_size": lambda value: mix(batch_size=value),
    "until": lambda value: mix(until=value),
    "sentinel": lambda value: list(mask_missing(rows(), [KIND], sentinel=value)),
    "length": lambda value: text_encoder(TEXTS, length=value)(tf.constant(["a b a"])),
    "height": lambda value: DecodeImages(value, 2).height,
    "epochs": lambda value: Annealed(value).epochs,
    "cap": lambda value: Temperature(cap=value).rates([9, 1]).tolist(),
}
REAL = {
    "power": lambda value: weigh_tasks({"kind": LabelSummary(labels=9)}, [KIND], power=value),
    "temperature": lambda value: Temperature(value).rates([9, 1]).tolist(),
    "final": lambda value: Annealed(2, final=value).rates([9, 1], 2).tolist(),
    "sentinel": lambda value: list(mask_missing(rows(), [KIND], sentinel={"kind": value})),
}
DOORS = [*WHOLE.items(), *REAL.items()]


def plain(result):
    """Returns tensors as lists, which can be compared."""
    leaves = keras.tree.flatten(result)
    return [leaf.numpy().tolist() if hasattr(leaf, "numpy") else leaf for leaf in leaves]


@pytest.mark.parametrize("door", [door for _, door in DOORS], ids=[name for name, _ in DOORS])
def test_every_door_takes_every_kind_of_number(door):
    expected = plain(door(2))
    for number in (np.int8(2), np.float32(2), np.array(2), tf.constant(2.0)):
        assert plain(door(number)) == expected


@pytest.mark.parametrize(
    ("name", "door"), DOORS, ids=[f"{name}-{place}" for place, (name, _) in enumerate(DOORS)]
)
def test_every_door_refuses_what_is_no_number(name, door):
    for wrong in (True, float("nan"), "2", [2]):
        expected = "; expected 'last'" if (name, wrong) == ("until", "2") else "; expected a"
        with pytest.raises(ValueError, match=f"{name}.*{expected}"):
            door(wrong)


@pytest.mark.parametrize(("name", "door"), WHOLE.items(), ids=list(WHOLE))
def test_whole_numbers_are_not_cut(name, door):
    with pytest.raises(ValueError, match=rf"{name}.* 2.5; expected a whole number"):
        door(2.5)


@pytest.mark.parametrize("beta", [1.0, -0.1, True, "0.9", float("nan")])
def test_betas_that_are_none_are_refused(beta):
    with pytest.raises(ValueError, match="beta must be at least 0 and below 1; received"):
        balanced_class_weights({}, beta=beta)


def test_a_fraction_marks_no_missing_integer():
    ((_, y, w),) = mask_missing(rows().batch(6), [KIND], sentinel={"kind": 1.5})
    assert y["kind"].numpy().tolist() == LABELS.tolist()
    assert w["kind"].numpy().tolist() == [1] * 6
