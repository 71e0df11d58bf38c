"""One task, or several, cut out of a network that predicts more."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl import Task, architectures, export, layers

EIGHT = [Task.binary(f"assay_{i}") for i in (5, 2, 7, 0, 3, 6, 1, 4)]
TWO = [Task.regression("zeta"), Task.binary("alpha")]


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def randomize(network):
    for i, variable in enumerate(network.trainable_variables):
        variable.assign(draw(*variable.shape, seed=i) / 3)


def dense(rows, *units):
    """Returns the parameters of a chain of dense layers with biases."""
    return sum((size + 1) * units for size, units in zip((rows, *units), units, strict=False))


def check_equal(network, cut, x, atol=1e-6):
    whole, part = network(x), cut(x)
    for name, output in part.items():
        np.testing.assert_allclose(output, whole[name], rtol=0, atol=atol)


@pytest.mark.parametrize(
    ("builder", "arguments", "parameters"),
    [
        ("hard_sharing", {"shared": (8, 7), "tower": (6, 5)}, dense(4, 8, 7, 6, 5, 1)),
        # All experts serve the task, by a gate without a bias.
        ("mmoe", {"num_experts": 3, "expert": (8, 7)}, 3 * dense(4, 8, 7) + 4 * 3),
        ("cgc", {"num_shared_experts": 2, "expert": (7,)}, (2 + 2) * dense(4, 7) + 4 * 4),
    ],
)
def test_one_of_eight_tasks_has_the_parameters_of_its_own_path(builder, arguments, parameters):
    network = getattr(architectures, builder)(keras.Input((4,)), EIGHT, **arguments)
    randomize(network)
    cut = export.single_task(network, "assay_0")
    if "tower" not in arguments:
        parameters += dense(7, 32, 1)
    assert cut.count_params() == parameters
    check_equal(network, cut, draw(9, 4))


def test_one_task_of_ple_keeps_all_experts_but_those_of_the_last_level():
    arguments = {"num_levels": 2, "num_shared_experts": 1, "num_task_experts": 2, "expert": (6,)}
    network = architectures.ple(keras.Input((4,)), EIGHT, **arguments, tower=(3,))
    cut = export.single_task(network, "assay_0")
    # At the last level its mixture needs its experts and the shared one. Those read the mixtures of
    # the task (of 3 experts) and of all (of 17) at the first level.
    first = (8 * 2 + 1) * dense(4, 6) + 4 * 3 + 4 * 17
    last = 3 * dense(6, 6) + 6 * 3
    assert cut.count_params() == first + last + dense(6, 3, 1)
    check_equal(network, cut, draw(9, 4))


def test_towers_are_narrowed_in_the_order_of_the_tasks():
    network = architectures.hard_sharing(keras.Input((4,)), EIGHT, shared=(8,), tower=(6,))
    randomize(network)
    names = ["assay_1", "assay_5", "assay_3"]
    cut = export.single_task(network, names)
    before, after = network.get_layer("towers_0"), cut.get_layer("towers_0")
    assert isinstance(after, layers.Towers)
    assert [v.path for v in after.variables] == [v.path for v in before.variables]
    # The towers stand in the order in which they stood; the outputs in the order asked for.
    np.testing.assert_array_equal(after.kernels[0], np.asarray(before.kernels[0])[[0, 4, 6]])
    assert list(cut.output) == names
    x = draw(9, 4)
    check_equal(network, cut, x)
    permuted = export.single_task(network, names[::-1])(x)
    for name, output in cut(x).items():
        np.testing.assert_array_equal(permuted[name], output)


def test_experts_that_no_kept_gate_can_reach_are_dropped():
    tasks = EIGHT[:3]
    x = keras.Input((4,))
    experts = layers.Experts(5, (6,), name="experts")(x)
    allowed = {"assay_5": [0, 3], "assay_2": [1, 3], "assay_7": [4]}
    outputs = {}
    for task in tasks:
        mask = [i in allowed[task.name] for i in range(5)]
        gate = layers.MaskedGate(mask, name=f"{task.name}_gate")(x)
        outputs[task.name] = task.output(layers.Mixture()([gate, experts]))
    network = keras.Model(x, outputs)
    randomize(network)
    rows = draw(9, 4)
    for names, num_experts in [(["assay_7"], 1), (["assay_5"], 2), (["assay_2", "assay_5"], 3)]:
        cut = export.single_task(network, names)
        assert cut.get_layer("experts").num_experts == num_experts
        check_equal(network, cut, rows)
    gate = export.single_task(network, ["assay_2", "assay_5"]).get_layer("assay_5_gate")
    assert gate.allowed == (True, False, True)


def test_experts_stay_where_a_gate_is_read_by_another_layer():
    x = keras.Input((4,))
    experts = layers.Experts(5, (6,), name="experts")(x)
    gate = layers.MaskedGate([True, False, True, False, False])(x)
    mixture = layers.Mixture()([gate, experts])
    joined = keras.layers.Concatenate()([mixture, gate])
    network = keras.Model(x, {"zeta": TWO[0].output(joined), "alpha": TWO[1].output(x)})
    cut = export.single_task(network, "zeta")
    assert cut.get_layer("experts").num_experts == 5
    check_equal(network, cut, draw(9, 4))


def test_inputs_that_no_kept_task_reads_are_left_out():
    x = {name: keras.Input((2,), name=name) for name in ("wage", "age", "city")}
    joined = keras.layers.Concatenate()([x["wage"], x["age"]])
    outputs = {"zeta": TWO[0].output(joined), "alpha": TWO[1].output(x["city"])}
    for inputs in (x, list(x.values()), [x["wage"], {"rest": [x["age"], x["city"]]}]):
        cut = export.single_task(keras.Model(inputs, outputs), "zeta")
        assert sorted(tensor.name for tensor in cut.inputs) == ["age", "wage"]
        assert type(cut.input) is type(inputs)
    network, rows = keras.Model(x, outputs), {name: draw(5, 2) for name in x}
    cut = export.single_task(network, "zeta")
    del rows["city"]
    whole = network(rows | {"city": draw(5, 2)})
    np.testing.assert_array_equal(cut(rows)["zeta"], whole["zeta"])


def test_a_graph_of_operations_is_cut():
    x = keras.Input((3, 4), name="x")
    sines = keras.ops.concatenate([keras.ops.sin(x), keras.ops.cos(x)], axis=-2)
    first = keras.ops.mean(sines[:, 0] + x[:, 2], axis=-1, keepdims=True)
    network = keras.Model(x, {"zeta": first, "alpha": TWO[1].output(keras.layers.Flatten()(x))})
    cut = export.single_task(network, "zeta")
    assert not cut.weights
    check_equal(network, cut, draw(5, 3, 4), atol=0)
    # The graphs have no node in common: what comes after an operation is found in its own alone.
    assert not {id(op) for op in network.operations} & {id(op) for op in cut.operations}


def test_branches_that_are_joined_stacked_and_picked_by_hand():
    x = keras.Input((4,))
    left = layers.Experts(3, (5,), name="left")(x)
    right = layers.Experts(2, (5,), name="right")(x)
    joined = keras.ops.concatenate([left, right], axis=1)  # 5 branches
    joined = keras.layers.LayerNormalization()(keras.layers.Dense(6, "relu", name="all")(joined))
    deeper = layers.ParallelDense(6, "tanh", name="deeper")(joined)
    added = keras.layers.Add()([deeper, joined])
    outputs = {
        f"branch_{i}": keras.layers.Dense(1, name=f"branch_{i}")(layers.PickBranch(i)(added))
        for i in (4, 1, 2)
    }
    # Another reader of the same experts makes a part of them needed again.
    outputs["left_0"] = keras.layers.Dense(1, name="left_0")(layers.PickBranch(0)(left))
    network = keras.Model(x, outputs)
    rows = draw(9, 4)
    sizes = {
        ("branch_4",): (0, 1, 1),
        ("branch_1", "branch_2"): (2, 0, 2),
        ("branch_2", "branch_4"): (1, 1, 2),
        ("branch_1", "left_0"): (2, 0, 2),
        ("left_0",): (1, 0, 0),
    }
    for names, expected in sizes.items():
        cut = export.single_task(network, names)
        kernels = {v.path: v.shape for v in cut.weights}
        sizes_here = [
            kernels.get(path, (0, 0))[1]
            for path in ("left/kernel_0", "right/kernel_0", "deeper/kernel")
        ]
        assert tuple(sizes_here) == expected, names
        check_equal(network, cut, rows)


class Scales(keras.layers.Layer):
    """Multiplies each branch by numbers of its own."""

    branched_inputs = (0,)

    def build(self, input_shape):
        self.scale = self.add_weight(shape=tuple(input_shape[-2:]), initializer="ones")

    def call(self, inputs):
        return inputs * self.scale

    def narrow(self, indices):
        layer = Scales(name=self.name)
        layer.build((None, len(indices), self.scale.shape[-1]))
        layer.set_weights([np.asarray(self.scale)[indices]])
        return layer


def test_a_layer_of_a_user_says_how_it_is_narrowed(tmp_path):
    x = keras.Input((4,))
    scaled = Scales(name="scales")(layers.Experts(3, (5,), name="experts")(x))
    outputs = {task.name: task.output(layers.PickBranch(i)(scaled)) for i, task in enumerate(TWO)}
    network = keras.Model(x, outputs)
    randomize(network)
    cut = export.single_task(network, "alpha")
    assert cut.get_layer("scales").scale.shape == (1, 5)
    assert cut.get_layer("experts").num_experts == 1
    check_equal(network, cut, draw(9, 4))


class Centered(layers.Experts):
    """Subtracts the mean of all experts, of which its `narrow` knows nothing."""

    def call(self, features):
        experts = super().call(features)
        return experts - keras.ops.mean(experts, axis=-2, keepdims=True)


def test_a_class_that_derives_from_a_batched_layer_is_not_trusted():
    x = keras.Input((4,))
    experts = Centered(3, (5,), name="experts")(x)
    outputs = {task.name: task.output(layers.PickBranch(i)(experts)) for i, task in enumerate(TWO)}
    network = keras.Model(x, outputs)
    cut = export.single_task(network, "alpha")
    assert cut.get_layer("experts").num_experts == 3
    check_equal(network, cut, draw(9, 4))


def test_a_loaded_network_is_cut(tmp_path):
    network = architectures.snr(
        keras.Input((4,)), EIGHT, num_levels=1, num_subnetworks=2, subnetwork=(3,), tower=(3,)
    )
    network.save(tmp_path / "network.keras")
    loaded = keras.models.load_model(tmp_path / "network.keras")
    cut = export.single_task(loaded, "assay_6")
    assert cut.get_layer("shared_routing_1").num_outputs == 1
    assert cut.get_layer("towers_0").kernels[0].shape == (1, 3, 3)
    check_equal(network, cut, draw(9, 4))


@pytest.mark.parametrize("order", [1, -1])
def test_parts_along_two_axes_are_the_whole(order):
    x = keras.Input((4,))
    experts = layers.Experts(3, (5,), name="experts")(x)
    branch = layers.PickBranch(2)(experts)
    columns = keras.layers.Flatten()(layers.ChannelSlice(1, 3)(experts))
    joined = keras.layers.Concatenate()([branch, columns][::order])
    network = keras.Model(x, {"zeta": joined, "alpha": branch})
    randomize(network)
    assert export.single_task(network, "alpha").get_layer("experts").num_experts == 1
    for names in ("zeta", ["zeta", "alpha"], ["alpha", "zeta"]):
        cut = export.single_task(network, names)
        assert cut.get_layer("experts").num_experts == 3
        check_equal(network, cut, draw(5, 4))


def test_a_layer_that_is_called_twice_stays_shared_and_whole():
    x = {name: keras.Input((4,), name=name) for name in ("left", "right")}
    experts = layers.Experts(3, (5,), name="experts")
    dense = keras.layers.Dense(2, name="dense")
    picked = [dense(layers.PickBranch(i)(experts(x[name]))) for i, name in enumerate(x)]
    network = keras.Model(
        x, {"zeta": TWO[0].output(keras.layers.Add()(picked)), "alpha": TWO[1].output(picked[0])}
    )
    cut = export.single_task(network, "zeta")
    assert cut.get_layer("experts").num_experts == 3
    assert len(cut.weights) == 2 + 2 + 2
    check_equal(network, cut, {name: draw(5, 4, seed=i) for i, name in enumerate(x)})


def test_tasks_that_read_each_other_keep_what_they_read():
    tasks = [Task.binary(name) for name in ("view", "cart", "buy")]
    network = architectures.aitm(keras.Input((4,)), tasks, tower=(5,))
    randomize(network)
    x = draw(9, 4)
    sizes = [export.single_task(network, task).count_params() for task in tasks]
    assert sizes == sorted(sizes) and sizes[0] < sizes[1] < sizes[2]
    for task in tasks:
        check_equal(network, export.single_task(network, task), x, atol=0)


def test_a_task_of_columns_is_kept_whole():
    assays = Task.multilabel("assays", 3, columns=("c", "a", "b"))
    network = architectures.hard_sharing(keras.Input((4,)), [assays, *TWO], tower=(5,))
    cut = export.single_task(network, assays)
    assert cut.output["assays"].shape == (None, 3)
    check_equal(network, cut, draw(8, 4), atol=0)
    mtl.BalancedModel(cut, [assays], mtl.balancers.Equal()).compile("sgd")


def test_a_sequence_keeps_its_mask():
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    hidden = keras.layers.Embedding(9, 4, mask_zero=True)(tokens)
    hidden = keras.layers.LSTM(3, return_sequences=True)(hidden)
    experts = layers.Experts(4, (5,))(hidden)
    tasks = [Task.tagging("zeta", 3), Task.tagging("alpha", 2)]
    outputs = {
        task.name: task.output(layers.PickBranch(i)(experts)) for i, task in enumerate(tasks)
    }
    network = keras.Model(tokens, outputs)
    cut = export.single_task(network, "alpha")
    x = np.array([[3, 1, 0], [2, 0, 0]])
    check_equal(network, cut, x)
    np.testing.assert_array_equal(cut(x)["alpha"]._keras_mask, x != 0)


def test_the_original_is_not_changed_and_the_cut_is_trained_saved_and_exported(tmp_path):
    model = mtl.BalancedModel(
        architectures.cgc(keras.Input((4,), name="x"), TWO, expert=(5,), tower=(3,)),
        TWO,
        mtl.balancers.Uncertainty(),
    )
    network, x, y = model.network, draw(16, 4), {"alpha": np.ones((16, 1), "float32")}
    before = {name: np.asarray(value) for name, value in network(x).items()}
    cut = export.single_task(model, TWO[1])
    assert not {id(v) for v in cut.variables} & {id(v) for v in network.variables}
    assert not cut.compiled
    cut.compile("sgd", **mtl.compile_args([TWO[1]]), run_eagerly=True)
    cut.fit(x, y, epochs=2, verbose=0)
    assert np.abs(cut(x)["alpha"] - before["alpha"]).max() > 1e-4
    for name, value in network(x).items():
        np.testing.assert_array_equal(value, before[name])
    cut.save(tmp_path / "cut.keras")
    check_equal(cut, keras.models.load_model(tmp_path / "cut.keras"), x, atol=0)
    folder = export.saved_model(cut, [TWO[1]], tmp_path / "1")
    served = tf.saved_model.load(folder).signatures["alpha"](x=tf.constant(x))
    np.testing.assert_allclose(served["alpha"], cut(x)["alpha"], atol=1e-6)


def test_updates_of_low_rank_are_merged_after_the_cut():
    network = architectures.lora(keras.Input((5,)), TWO, body=(6, 4), rank=2)
    randomize(network)
    cut = export.single_task(network, "alpha")
    plain = export.merge(cut)
    check_equal(network, plain, draw(7, 5), atol=1e-5)
    assert plain.count_params() == dense(5, 6, 4, 1)


def test_branches_are_hardened_after_the_cut():
    network = architectures.ltb(
        keras.Input((5,)), EIGHT[:3], body=(6, 4), num_branches=4, tower=(3,)
    )
    for layer in network.layers:
        if isinstance(layer, layers.Branching):
            layer.theta.assign(draw(*layer.theta.shape))
    cut = export.single_task(network, "assay_7")
    plain = export.harden(cut)
    check_equal(network, plain, draw(7, 5), atol=1e-5)
    assert plain.count_params() == dense(5, 6, 4, 3, 1)


def test_what_cannot_be_cut_is_refused_by_a_sentence():
    network = architectures.hard_sharing(keras.Input((4,)), TWO, tower=(3,))
    with pytest.raises(ValueError, match=r"\['beta'\], where \['beta'\] are no outputs"):
        export.single_task(network, "beta")
    with pytest.raises(ValueError, match=r"\['zeta', 'alpha'\], at least one and each once"):
        export.single_task(network, [])
    with pytest.raises(ValueError, match=r"each once; received \['zeta', 'zeta'\]"):
        export.single_task(network, ["zeta", TWO[0]])
    with pytest.raises(TypeError, match="must be a dict from task name to prediction"):
        export.single_task(keras.Model(network.input, list(network.output.values())), "zeta")
    with pytest.raises(TypeError, match="whose graph cannot be cut"):
        export.single_task(keras.Sequential([keras.layers.Dense(1)]), "zeta")

    class Subclassed(keras.Model):
        pass

    with pytest.raises(TypeError, match=r"must be a functional keras\.Model"):
        export.single_task(Subclassed(), "zeta")
