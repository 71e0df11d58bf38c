import keras
import numpy as np
import pytest

from keras_mtl import layers


def make(logits, **arguments):
    layer = layers.SelectOrSkip(seed=3, **arguments)
    shape = (None, len(logits), 1)
    layer.build([shape, shape])
    layer.logits.assign(np.array(logits, "float32"))
    return layer


def inputs(tasks):
    rng = np.random.default_rng(0)
    return [rng.normal(size=(5, tasks, 1)).astype("float32") for _ in range(2)]


def test_tasks_that_select_a_block_add_its_output():
    layer = make([[0.0, 1.0], [1.0, 0.0], [0.5, 0.5]])
    features, block = inputs(3)
    expected = features + block * np.array([1.0, 0.0, 1.0])[:, None]
    np.testing.assert_allclose(layer([features, block]), expected, rtol=1e-6)
    assert layer.selected.tolist() == [True, False, True]


def test_training_draws_selection_with_its_chance():
    layer = make([np.log([0.3, 0.7])] * 4000, temperature=0.1)
    block = np.ones((1, 4000, 1), "float32")
    drawn = np.asarray(layer([0 * block, block], training=True))
    assert ((drawn >= 0) & (drawn <= 1)).all()
    assert abs(np.mean(drawn > 0.5) - 0.7) < 0.03


def test_the_penalties_are_those_of_the_docstring():
    logits = np.array([[0.0, 1.0], [2.0, 0.0], [0.3, 0.1]])
    layer = make(logits, sparsity=0.2, sharing=0.4)
    layer(inputs(3))
    a = np.exp(logits[:, 1]) / np.exp(logits).sum(-1)
    sharing = abs(a[0] - a[1]) + abs(a[0] - a[2]) + abs(a[1] - a[2])
    expected = -0.2 * np.log(1 - a).sum() + 0.4 * sharing
    np.testing.assert_allclose([float(loss) for loss in layer.losses], [expected], rtol=1e-5)


def test_weights_of_zero_add_no_penalty():
    layer = make([[0.0, 1.0]])
    layer(inputs(1))
    assert layer.losses == []


@pytest.mark.parametrize("wrong", [{"sparsity": -1.0}, {"sharing": -1.0}, {"temperature": 0.0}])
def test_arguments_are_checked(wrong):
    with pytest.raises(ValueError, match="expected sparsity >= 0, sharing >= 0 and temperature >"):
        layers.SelectOrSkip(**wrong)
    with pytest.raises(ValueError, match="a block that may be skipped keeps the shape"):
        layers.SelectOrSkip()([keras.Input((2, 4)), keras.Input((2, 5))])
