"""Units: the definition in NumPy, golden chance, ablation, and the laws."""

import itertools

import keras
import numpy as np
import pytest

import keras_mtl as mtl
from keras_mtl.analysis import unit_importance
from keras_mtl.analysis._unit_importance import _chance
from keras_mtl.architectures import cgc, cross_stitch, hard_sharing

ROWS = 40
TASKS = [mtl.Task.regression("zeta", metrics=()), mtl.Task.regression("age", metrics=())]


def make_data(missing=0):
    draws = np.random.default_rng(0)
    x = draws.normal(size=(ROWS, 5)).astype("float32")
    y = {"zeta": draws.normal(size=ROWS), "age": draws.normal(size=ROWS)}
    y["age"][:missing] = np.nan
    return x, {name: values.astype("float32") for name, values in y.items()}


def two_layers(shared=20):
    """Builds a network of one shared layer and one linear layer per task."""
    return hard_sharing(keras.Input((5,)), TASKS, shared=(shared,), tower=())


def head_of(network, task):
    return next(layer for layer in network.layers if layer.name.startswith(task) and layer.weights)


def test_chance_overlap_is_the_mean_over_all_pairs_of_sets():
    sets = [{*units} for units in itertools.combinations(range(7), 3)]
    overlaps = [len(a & b) / len(a | b) for a in sets for b in sets]
    assert _chance(7, 3) == pytest.approx(np.mean(overlaps))
    assert _chance(100, 10) == pytest.approx(0.057, abs=2.5e-3)  # simulated: 0.055
    assert _chance(10, 10) == pytest.approx(1)


def test_importance_and_ablation_follow_the_definition():
    x, y = make_data(missing=15)
    network = two_layers()
    result = unit_importance(network, (x, y), TASKS)
    kernel, bias = next(layer for layer in network.layers if layer.weights).get_weights()
    features = np.maximum(x @ kernel + bias, 0)
    tops = {}
    for k, task in enumerate(("zeta", "age")):
        weights, bias = head_of(network, task).get_weights()
        known = ~np.isnan(y[task])
        error = (features @ weights + bias)[:, 0] - y[task]
        products = np.abs(features * 2 * error[:, None] * weights[:, 0])[known].mean(axis=0)
        np.testing.assert_allclose(result.importance[k], products / products.sum(), rtol=1e-4)
        tops[task] = np.argsort(-products)[:2]
        assert set(np.flatnonzero(result.top[k])) == set(tops[task])
        assert result.losses[task] == pytest.approx(np.mean(error[known] ** 2), rel=1e-5)
    for k, task in enumerate(("zeta", "age")):
        left = features.copy()
        left[:, tops[task]] = 0
        for j, other in enumerate(("zeta", "age")):
            weights, bias = head_of(network, other).get_weights()
            loss = np.nanmean(((left @ weights + bias)[:, 0] - y[other]) ** 2)
            assert result.rise[k, j] == pytest.approx(loss - result.losses[other], abs=1e-5)
    np.testing.assert_allclose(result.shares.sum(axis=0)[result.importance.any(axis=0)], 1)


def test_tasks_on_different_units_do_not_overlap():
    network = two_layers()
    for start, task in ((0, "zeta"), (10, "age")):
        kernel = np.zeros((20, 1), "float32")
        kernel[start : start + 10] = 1.0
        head_of(network, task).set_weights([kernel, np.zeros(1)])
    result = unit_importance(network, make_data(), TASKS)
    assert result.overlap.tolist() == [[1, 0], [0, 1]]
    assert not result.importance[0, 10:].any() and not result.importance[1, :10].any()
    assert result.rise[0, 1] == result.rise[1, 0] == 0
    assert result.rise[0, 0] != 0 != result.rise[1, 1]
    kernel = head_of(network, "age").get_weights()[0]
    head_of(network, "age").set_weights([0 * kernel, np.zeros(1)])
    zeroed = unit_importance(network, make_data(), TASKS)
    assert not zeroed.importance[1].any() and not zeroed.top[1].any()
    # The other task does not notice.
    np.testing.assert_array_equal(zeroed.importance[0], result.importance[0])
    lines = str(zeroed).splitlines()
    assert lines[0].split() == ["overlap", "zeta", "age"]
    assert lines[-1].startswith("20 units, 10 of no importance to any task; the overlap by chance")


def test_the_order_of_tasks_and_one_task():
    network = two_layers()
    before = unit_importance(network, make_data(), TASKS)
    after = unit_importance(network, make_data(), TASKS[::-1])
    np.testing.assert_allclose(after.importance, before.importance[::-1], rtol=1e-5)
    np.testing.assert_allclose(after.rise, before.rise[::-1, ::-1], atol=1e-6)
    x, y = make_data()
    one = unit_importance(network, (x, {"age": y["age"]}), TASKS[1:])
    np.testing.assert_allclose(one.importance, before.importance[1:], rtol=1e-5)
    assert one.overlap.tolist() == [[1]]


def test_units_of_experts_and_of_several_outputs():
    result = unit_importance(cgc(keras.Input((5,)), TASKS, expert=(4,)), make_data(), TASKS)
    assert result.units[:5] == (*(f"shared_experts/0/{i}" for i in range(4)), "shared_experts/1/0")
    assert len(result.units) == 8
    stitched = cross_stitch(keras.Input((5,)), TASKS, body=(6,))
    result = unit_importance(stitched, make_data(), TASKS)
    assert len(result.units) == 12 and len({*result.units}) == 12
    np.testing.assert_array_equal(result.importance.any(axis=1), True)
    assert not (result.importance > 0).all(axis=0).any()  # each tower has its own half


def test_another_layer_and_a_balanced_model():
    network = hard_sharing(keras.Input((5,)), TASKS, shared=(6, 4))
    layers = [layer.name for layer in network.layers if layer.weights][:2]
    model = mtl.BalancedModel(network, TASKS, mtl.balancers.Equal())
    assert len(unit_importance(model, make_data(), TASKS, layer=layers[0]).units) == 6
    last = unit_importance(model, make_data(), TASKS, layer=layers[1])
    np.testing.assert_array_equal(
        last.importance, unit_importance(network, make_data(), TASKS).importance
    )


def test_errors():
    network = two_layers()
    with pytest.raises(ValueError, match=r"layer is 'b'; expected the name of a layer: one of \["):
        unit_importance(network, make_data(), TASKS, layer="b")
    inputs = keras.Input((5,))
    apart = keras.Model(inputs, {task.name: task.output(inputs) for task in TASKS})
    with pytest.raises(ValueError, match=r"\['zeta', 'age'\] share no layer with variables"):
        unit_importance(apart, make_data(), TASKS)
