import keras
import numpy as np
import pytest
from expert_references import dense, draw, logits, randomize, value

from keras_mtl import Task, architectures

TASKS = [Task.regression("zeta"), Task.regression("alpha", 3)]


def build(**arguments):
    arguments = {"stem": (6,), "body": (6, 6, 6), "tower": (5,)} | arguments
    return architectures.adashare(keras.Input((5,)), TASKS, **arguments)


def test_a_task_runs_the_blocks_that_it_selected_and_skips_the_others():
    network = build()
    randomize(network)
    x = draw(7, 5)
    decisions, outputs = [], network(x)
    for k, task in enumerate(TASKS):
        y = dense(network, "shared_stem_0", x)
        for i in range(3):
            skip, select = value(network.get_layer(f"shared_policy_{i}").logits)[k]
            decisions.append(select >= skip)
            if decisions[-1]:
                y = y + dense(network, f"shared_block_{i}", y)
        expected = logits(network, task.name, y)
        np.testing.assert_allclose(outputs[task.name], expected, rtol=1e-4, atol=1e-5)
    assert 0 < sum(decisions) < 6


def test_the_penalties_are_the_cross_entropy_of_skipping_and_the_differences():
    network = build(sparsity=0.3, sharing=0.7)
    randomize(network)
    network(draw(7, 5))
    expected = 0.0
    for i in range(3):
        chances = np.exp(value(network.get_layer(f"shared_policy_{i}").logits))
        chances = chances[:, 1] / chances.sum(-1)
        expected += 0.3 / 3 * -np.log(1 - chances).sum() + 0.7 * abs(chances[0] - chances[1])
    np.testing.assert_allclose(sum(float(loss) for loss in network.losses), expected, rtol=1e-5)


def test_recipes_and_models_are_blocks_that_all_tasks_run():
    def recipe(features):
        return keras.layers.Conv2D(4, 3, padding="same")(features)

    tasks = [Task.segmentation("zeta", 3), Task.segmentation("alpha", 2)]
    block = keras.layers.Conv2D(4, 3, padding="same")
    network = architectures.adashare(
        keras.Input((8, 8, 3)), tasks, stem=recipe, body=[recipe, block], tower=()
    )
    kernels = [v for v in network.trainable_variables if v.shape[:2] == (3, 3)]
    assert len(kernels) == 3 and any(v is block.kernel for v in kernels)
    assert network(draw(2, 8, 8, 3))["alpha"].shape == (2, 8, 8, 2)


def test_a_block_that_changes_the_shape_is_refused():
    with pytest.raises(ValueError, match="shared_policy_1: a block that may be skipped keeps"):
        build(body=(6, 7))
