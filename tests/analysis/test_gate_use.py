"""Gates and experts: golden values, other roads to the same numbers, and laws."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl.analysis import gate_use
from keras_mtl.analysis._inside._gate_sums import GateSums, divergence
from keras_mtl.architectures import cgc, dselect_k, hard_sharing, ml_mmoe, mmoe, mmoeex, snr

GOLDEN = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.6, 0.3, 0.1], [0.2, 0.2, 0.6]])
ROWS = 24


def make_tasks():
    return [mtl.Task.binary("zeta"), mtl.Task.regression("age"), mtl.Task.multiclass("mid", 3)]


def make_data(seed=0, missing=0):
    draws = np.random.default_rng(seed)
    y = {
        "zeta": draws.integers(0, 2, ROWS).astype("float32"),
        "age": draws.normal(size=ROWS).astype("float32"),
        "mid": draws.integers(0, 3, ROWS),
    }
    y["zeta"][:missing] = np.nan
    return draws.normal(size=(ROWS, 5)).astype("float32"), y


def test_golden_values():
    sums = GateSums(3, hard=False)
    sums.add(GOLDEN[:1], GOLDEN[:1])
    sums.add(GOLDEN[1:], GOLDEN[1:])
    values = sums.statistics()
    np.testing.assert_allclose(values["load"], [0.4, 0.2, 0.4])
    expected = {
        "load_entropy": 0.960230,
        "entropy": 0.748459,
        "effective_experts": 2.871746,
        "specialization": 0.232653,
        "load_variation": 0.08,
    }
    for name, value in expected.items():
        assert values[name] == pytest.approx(value, abs=5e-7), name


def test_golden_divergence_of_two_loads():
    loads = [dict(zip("abc", row, strict=True)) for row in GOLDEN[:2]]
    assert divergence(*loads) == pytest.approx(0.289988, abs=5e-7)
    assert divergence(loads[0], {"d": 1.0}) == pytest.approx(np.log(2))
    assert divergence(loads[1], dict(reversed(loads[1].items()))) == 0


def test_experts_of_a_hard_gate_are_counted():
    weights = np.array([[0.9, 0.1, 0], [0.8, 0, 0.2], [1, 0, 0], [0, 0, 0]])
    values = {}
    for hard in (True, False):
        sums = GateSums(3, hard=hard)
        sums.add(weights, weights)
        values[hard] = sums.statistics()
    np.testing.assert_allclose(values[True]["load"], [2 / 3, 1 / 6, 1 / 6])
    np.testing.assert_allclose(values[False]["load"], [0.9, 0.1 / 3, 0.2 / 3])
    np.testing.assert_allclose(values[True]["weight"], [0.675, 0.025, 0.05])
    np.testing.assert_allclose(values[True]["selected"], [0.75, 0.25, 0.25])


def softmax(logits):
    exponents = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponents / exponents.sum(axis=-1, keepdims=True)


def forward_of_mmoe(network, task, x, drop=None):
    """Computes a task's prediction before its last activation, in NumPy."""
    layer = network.get_layer("shared_experts")
    kernel, bias = (np.asarray(w, "float64") for w in layer.get_weights())
    experts = np.maximum(np.einsum("bi,ieu->beu", x.astype("float64"), kernel) + bias, 0)
    gate = softmax(x @ network.get_layer(f"{task}_gate").get_weights()[0].astype("float64"))
    if drop is not None:
        left = gate * (np.arange(gate.shape[1]) != drop)
        gate = left / left.sum(axis=1, keepdims=True)
    z = np.einsum("be,beu->bu", gate, experts)
    head = [
        layer for layer in network.layers if layer.name.startswith(f"{task}_") and layer.weights
    ]
    kernel, bias = head[-1].get_weights()
    return gate, experts, (z @ kernel + bias)[:, 0]


def test_gates_and_ablations_of_mmoe_follow_the_definition():
    tasks, (x, y) = make_tasks(), make_data()
    network = mmoe(keras.Input((5,)), tasks, num_experts=3, expert=(4,), tower=())
    use = gate_use(network, (x, y), tasks)
    gate, experts, prediction = forward_of_mmoe(network, "age", x)
    result = use.gates["age_gate"]
    assert list(use.gates) == ["zeta_gate", "age_gate", "mid_gate"]
    np.testing.assert_allclose(result.load, gate.mean(axis=0), rtol=1e-5)
    sizes = (gate * np.linalg.norm(experts, axis=-1)).mean(axis=0)
    np.testing.assert_allclose(result.use, sizes / sizes.sum(), rtol=1e-5)
    loss = np.mean((prediction - y["age"]) ** 2)
    assert use.losses["age"] == pytest.approx(loss, rel=1e-5)
    for expert in range(3):
        without = forward_of_mmoe(network, "age", x, drop=expert)[2]
        rise = np.mean((without - y["age"]) ** 2) - loss
        assert result.rise["age"][expert] == pytest.approx(rise, abs=1e-5)
    assert np.abs(result.rise["age"]).max() > 1e-3
    mean = gate_use(network, (x, y), tasks, ablation=False)
    assert mean.gates["age_gate"].rise == {}
    # Batches of unequal sizes are the same rows.
    batches = gate_use(network, tf.data.Dataset.from_tensor_slices((x, y)).batch(7), tasks)
    np.testing.assert_allclose(
        batches.gates["mid_gate"].rise["mid"], use.gates["mid_gate"].rise["mid"], atol=1e-6
    )
    np.testing.assert_allclose(batches.divergence, use.divergence, atol=1e-6)


def test_rows_without_a_label_of_the_task_do_not_count():
    tasks, (x, y) = make_tasks(), make_data(missing=10)
    network = mmoe(keras.Input((5,)), tasks, num_experts=3, expert=(4,))
    use = gate_use(network, (x, y), tasks)
    assert [gate.rows for gate in use.gates.values()] == [14, 24, 24]
    kept = gate_use(network, (x[10:], {name: v[10:] for name, v in y.items()}), tasks)
    gate, reference = use.gates["zeta_gate"], kept.gates["zeta_gate"]
    np.testing.assert_allclose(gate.load, reference.load, rtol=1e-6)
    np.testing.assert_allclose(gate.rise["zeta"], reference.rise["zeta"], atol=1e-6)
    assert use.losses["zeta"] == pytest.approx(kept.losses["zeta"])


def test_the_order_of_tasks_is_that_of_the_results():
    tasks, data = make_tasks(), make_data()
    network = cgc(keras.Input((5,)), tasks, expert=(4,))
    order = [2, 0, 1]
    before = gate_use(network, data, tasks)
    after = gate_use(network, data, [tasks[i] for i in order])
    np.testing.assert_allclose(after.divergence, before.divergence[np.ix_(order, order)])
    assert list(after.gates) == ["mid_gate", "zeta_gate", "age_gate"]
    np.testing.assert_array_equal(after.gates["age_gate"].load, before.gates["age_gate"].load)
    part = gate_use(network, (data[0], {"age": data[1]["age"]}), tasks[1:2])
    np.testing.assert_allclose(part.gates["age_gate"].load, before.gates["age_gate"].load)
    # A task's own experts are no experts of other tasks, the shared ones are those of all.
    assert before.gates["age_gate"].experts == (
        *("age_experts/0", "age_experts/1"),
        *("shared_experts/0", "shared_experts/1"),
    )


def test_gates_are_seen_behind_a_preprocessing_and_in_a_balanced_model():
    tasks, (x, y) = make_tasks(), make_data()
    network = mmoe(keras.Input((5,)), tasks, num_experts=3, expert=(4,))
    raw = keras.Input((5,), name="raw")
    doubled = keras.Model(raw, keras.layers.Rescaling(2.0)(raw))
    served = mtl.data.with_preprocessing(doubled, network)
    model = mtl.BalancedModel(network, tasks, mtl.balancers.PCGrad())
    expected = gate_use(network, (2 * x, y), tasks)
    for use in (gate_use(served, (x, y), tasks), gate_use(model, (2 * x, y), tasks)):
        for name, gate in expected.gates.items():
            np.testing.assert_allclose(use.gates[name].load, gate.load, rtol=1e-5)


def test_layers_with_several_mixtures_have_a_gate_for_each():
    tasks, data = make_tasks(), make_data()
    network = ml_mmoe(keras.Input((5,)), tasks, num_experts=2, expert=(4,))
    use = gate_use(network, data, tasks)
    assert list(use.gates)[:2] == ["shared_gates_1/0", "shared_gates_1/1"]
    assert use.gates["shared_gates_1/1"].tasks == ("zeta", "age", "mid")
    assert use.gates["age_gate"].tasks == ("age",)


def test_a_selecting_gate_is_hard_and_an_expert_that_it_left_has_no_worth():
    tasks, data = make_tasks(), make_data()
    network = dselect_k(
        keras.Input((5,)), tasks, num_experts=4, num_selected=1, per_example=False, expert=(4,)
    )
    network.get_layer("age_gate").set_weights([np.array([1.0, -1.0])])  # the code of expert 2
    gate = gate_use(network, data, tasks).gates["age_gate"]
    assert gate.hard and gate.collapsed
    np.testing.assert_array_equal(gate.load, [0, 0, 1, 0])
    np.testing.assert_array_equal(gate.selected, [0, 0, 1, 0])
    assert gate.unused == tuple(f"shared_experts/{i}" for i in (0, 1, 3))
    np.testing.assert_array_equal(gate.rise["age"][[0, 1, 3]], 0)
    assert gate.rise["age"][2] != 0


@pytest.mark.parametrize("routing", ["transform", "average"])
def test_routes_belong_to_their_task_and_closed_ones_have_no_worth(routing):
    tasks, data = make_tasks(), make_data()
    network = snr(keras.Input((5,)), tasks, num_subnetworks=3, subnetwork=(4,), routing=routing)
    layer = network.get_layer("shared_routing_2")
    log_alpha = np.full((3, 3), 9.0)
    log_alpha[1, 0] = -9.0
    layer.log_alpha.assign(log_alpha)
    use = gate_use(network, data, tasks)
    assert use.gates["shared_routing_2/1"].tasks == ("age",)
    np.testing.assert_allclose(use.gates["shared_routing_2/1"].load, [0, 0.5, 0.5])
    rise = use.gates["shared_routing_2/1"].rise["age"]
    assert rise[0] == 0 and np.abs(rise[1:]).max() > 0
    assert use.divergence[0, 2] == 0 and use.divergence[0, 1] > 0.1
    # What is computed with open routes is the network as it is.
    losses = network.evaluate
    network.compile("sgd", **mtl.compile_args(tasks))
    logs = losses(*data, verbose=0, return_dict=True)
    for task in use.tasks:
        assert use.losses[task] == pytest.approx(logs[f"{task}_mean_loss"], rel=1e-5)


def test_an_expert_that_is_closed_to_a_task_has_load_0():
    tasks, data = make_tasks(), make_data()
    network = mmoeex(keras.Input((5,)), tasks, num_experts=4, expert=(4,))
    gate = gate_use(network, data, tasks).gates["zeta_gate"]
    closed = ~np.array(network.get_layer("zeta_gate").allowed)
    assert closed.any() and not gate.load[closed].any() and not gate.rise["zeta"][closed].any()


def test_masked_positions_do_not_count():
    draws = np.random.default_rng(0)
    tokens = draws.integers(1, 9, (6, 4))
    tokens[:, 2:] = 0
    inputs = keras.Input((None,), dtype="int32")
    embedded = keras.layers.Embedding(9, 5, mask_zero=True)(inputs)
    tasks = [mtl.Task.tagging("pos", 3), mtl.Task.tagging("ner", 2)]
    network = mmoe(embedded, tasks, num_experts=3, expert=(4,))
    y = {"pos": draws.integers(0, 3, (6, 4)), "ner": draws.integers(0, 2, (6, 4))}
    masked = gate_use(network, (tokens, y), tasks)
    cut = gate_use(network, (tokens[:, :2], {name: v[:, :2] for name, v in y.items()}), tasks)
    assert masked.gates["ner_gate"].rows == cut.gates["ner_gate"].rows == 12
    np.testing.assert_allclose(masked.gates["ner_gate"].load, cut.gates["ner_gate"].load, rtol=1e-5)
    np.testing.assert_allclose(
        masked.gates["ner_gate"].rise["ner"], cut.gates["ner_gate"].rise["ner"], atol=1e-6
    )


def test_the_network_stays_as_it_is():
    tasks, data = make_tasks(), make_data()
    network = cgc(keras.Input((5,)), tasks, expert=(4,))
    weights, calls = network.get_weights(), [layer.output for layer in network.layers]
    gate_use(network, data, tasks)
    for value, before in zip(network.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(value, before)
    assert all(layer.output is output for layer, output in zip(network.layers, calls, strict=True))


def test_one_task_and_the_text():
    tasks, (x, y) = make_tasks(), make_data()
    network = mmoe(keras.Input((5,)), tasks[1:2], num_experts=2, expert=(4,))
    network.get_layer("age_gate").set_weights([np.zeros((5, 2))])
    use = gate_use(network, (x, {"age": y["age"]}), tasks[1:2])
    assert use.divergence.tolist() == [[0]]
    lines = str(use).splitlines()
    assert lines[1].split()[:4] == ["age_gate", "2", "of", "2"] and lines[-1] == "from 24 rows"
    text = str(use.gates["age_gate"])
    assert text.splitlines()[1].split()[:2] == ["shared_experts/0", "0.5"]
    assert "2 effective experts of 2, specialization 0, from 24 rows" in text


def test_an_expert_in_two_stacks_is_one_expert():
    inputs = keras.Input((5,))
    experts = [keras.layers.Dense(3, name=name)(inputs) for name in ("zeta_e", "all_e", "age_e")]
    outputs = {}
    tasks = make_tasks()[:2]
    for i, task in enumerate(tasks):
        stack = mtl.layers.StackBranches()(experts[i : i + 2])
        gate = keras.layers.Dense(2, "softmax", name=f"{task.name}_gate")(inputs)
        outputs[task.name] = task.output(mtl.layers.Mixture()([gate, stack]))
    x, y = make_data()
    data = x, {name: y[name] for name in ("zeta", "age")}
    use = gate_use(keras.Model(inputs, outputs), data, tasks)
    loads = [gate.load for gate in use.gates.values()]
    names = [gate.experts for gate in use.gates.values()]
    assert names[0][1] == names[1][0] == "all_e"
    pairs = zip(names, loads, strict=True)
    expected = divergence(*(dict(zip(*pair, strict=True)) for pair in pairs))
    assert use.divergence[0, 1] == pytest.approx(expected) and expected < np.log(2)


def test_fifty_tasks_whose_towers_are_one_layer():
    tasks = [mtl.Task.regression(f"t{i}", metrics=()) for i in range(50)]
    network = mmoe(keras.Input((5,)), tasks, num_experts=2, expert=(4,), tower=(3,))
    x, _ = make_data()
    y = {task.name: x[:, i % 5] for i, task in enumerate(tasks)}
    use = gate_use(network, (x, y), tasks, ablation=False)
    assert [gate.tasks for gate in use.gates.values()] == [(task.name,) for task in tasks]
    assert str(use).splitlines()[-2:] == ["... 50 gates in all; see .gates", "from 24 rows"]
    part = gate_use(network, (x, {"t7": y["t7"]}), tasks[7:8])
    assert part.gates["t7_gate"].rise["t7"].all()


def test_errors():
    tasks, (x, y) = make_tasks(), make_data()
    network = mmoe(keras.Input((5,)), tasks, num_experts=2, expert=(4,))
    with pytest.raises(ValueError, match=r"has no gate.*Mixture and SubNetworkRouting"):
        gate_use(hard_sharing(keras.Input((5,)), tasks), (x, y), tasks)
    with pytest.raises(TypeError, match=r"must be a functional keras.Model.*received Sequential"):
        gate_use(keras.Sequential([keras.layers.Dense(1)]), (x, y), tasks)
    with pytest.raises(ValueError, match=r"no output of the network for the task\(s\) \['b'\]"):
        gate_use(network, (x, y), [mtl.Task.binary("b")])
    with pytest.raises(ValueError, match="no label for task 'age'"):
        gate_use(network, (x, {"zeta": y["zeta"], "mid": y["mid"]}), tasks)
    with pytest.raises(ValueError, match="task 'mid': labels go from 0 to 7"):
        gate_use(network, (x, {**y, "mid": y["mid"] % 2 * 7}), tasks)
    with pytest.raises(ValueError, match="there are no rows"):
        gate_use(network, (x[:0], {name: v[:0] for name, v in y.items()}), tasks)
    with pytest.raises(TypeError, match="received ndarray"):
        gate_use(network, x, tasks)
    inputs = keras.Input((5,))
    experts = mtl.layers.Experts(2, (3,))(inputs)
    mixed = mtl.layers.Mixture()([keras.layers.Dense(2, name="linear")(inputs), experts])
    linear = keras.Model(inputs, {"age": keras.layers.Dense(1)(mixed)})
    with pytest.raises(ValueError, match="gate 'linear' has weights that are negative"):
        gate_use(linear, (x, y), tasks[1:2])
