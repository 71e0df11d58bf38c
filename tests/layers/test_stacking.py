import keras
import numpy as np
import pytest

from keras_mtl import layers


def test_stacked_branches_can_be_picked():
    branches = [np.full((2, 3, 4), float(i), "float32") for i in range(3)]
    stacked = layers.StackBranches()(branches)
    assert stacked.shape == (2, 3, 3, 4)
    for i, branch in enumerate(branches):
        np.testing.assert_array_equal(layers.PickBranch(i)(stacked), branch)


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="features side by side have equal shapes"):
        layers.StackBranches()([keras.Input((4,)), keras.Input((5,))])


@pytest.mark.parametrize("index", [-1, 3])
def test_a_branch_that_is_not_there_is_refused(index):
    with pytest.raises(ValueError, match=f"no branch {index} among"):
        layers.PickBranch(index)(keras.Input((3, 4)))
