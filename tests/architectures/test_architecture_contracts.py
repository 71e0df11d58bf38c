"""Laws of every builder in `architectures.__all__`, for 1, 2 and 5 tasks of mixed kinds."""

import contextlib

import base_cases
import keras
import numpy as np
import pytest
import tensorflow as tf
from all_cases import CASES, build, built, setting
from base_cases import ROWS, SIZE

import keras_mtl as mtl
from keras_mtl import Task, architectures

NAMES = architectures.__all__


def everyday(name, *values, short=False):
    """Returns a case that is slow, unless it is short or the builder one of the first three."""
    marks = () if short or name in base_cases.CASES else pytest.mark.slow
    return pytest.param(name, *values, marks=marks)


def counts_of_tasks(*, short):
    """Returns every builder with its numbers of tasks; where `short`, the usual one is short."""
    return pytest.mark.parametrize(
        ("name", "tasks"),
        [
            everyday(name, count, short=short and count == setting(name).usual_count)
            for name in NAMES
            for count in setting(name).counts
        ],
        indirect=["tasks"],
    )


every_count = counts_of_tasks(short=True)
every_count_long = counts_of_tasks(short=False)
long = pytest.mark.parametrize("name", [everyday(name) for name in NAMES])


def predict(network, features):
    return {name: np.asarray(value) for name, value in network(features).items()}


@contextlib.contextmanager
def policy(name):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.fixture
def tasks(request, name):
    return setting(name).tasks(request.param)


@pytest.fixture(autouse=True)
def skip_exceptions(request):
    """Skips the laws that do not apply to a builder by its setting, with the reason."""
    name = request.node.callspec.params.get("name") if hasattr(request.node, "callspec") else None
    reason = setting(name).exceptions.get(request.node.originalname)
    if reason:
        pytest.skip(reason)


def test_all_names_only_builders():
    for builder in NAMES:
        assert callable(getattr(architectures, builder)), builder


@every_count
def test_outputs_are_float32_and_named_after_the_tasks(name, tasks):
    network = built(name, len(tasks))
    assert isinstance(network.output, dict)
    assert set(network.output) == {task.name for task in tasks}
    assert sorted(network.output_names) == sorted(task.name for task in tasks)
    for task in tasks:
        output = network.get_layer(task.name).output
        assert output is network.output[task.name]
        assert output.dtype == "float32"
        assert output.shape == (None, *setting(name).features().shape[1:-1], task.head.units)


@every_count
def test_each_output_comes_from_its_own_head(name, tasks):
    network, features = built(name, len(tasks)), setting(name).features()
    before = predict(network, features)
    for task in tasks:
        bias = network.get_layer(f"{task.name}_logits").bias
        start = np.asarray(bias)
        bias.assign(start + np.arange(1.0, 1 + bias.shape[0], dtype="float32"))
        after = predict(network, features)
        bias.assign(start)
        changed = {key for key in after if np.abs(after[key] - before[key]).max() > 1e-4}
        assert task.name in changed
        assert changed <= setting(name).reached(task, tasks)


@every_count
def test_the_layers_of_a_task_reach_its_output_alone(name, tasks):
    network, features = built(name, len(tasks)), setting(name).features()
    for task in tasks:
        task_layers = [layer for layer in network.layers if layer.name.startswith(f"{task.name}_")]
        task_variables = [
            variable for layer in task_layers for variable in layer.trainable_variables
        ]
        assert task_variables
        with tf.GradientTape() as tape:
            outputs = network(features)
            unreached = set(outputs) - setting(name).reached(task, tasks)
            losses = [tf.reduce_sum(outputs[key] ** 2) for key in unreached]
            total = tf.add_n([tf.constant(0.0), *losses])
        gradients = tape.gradient(total, [variable.value for variable in task_variables])
        assert all(gradient is None for gradient in gradients)


@every_count
def test_every_variable_gets_a_gradient_from_some_loss(name, tasks):
    network, features = built(name, len(tasks)), setting(name).features()
    labels = setting(name).labels(tasks)
    with tf.GradientTape() as tape:
        outputs = network(features, training=True)
        loss = tf.add_n([task.make_loss()(labels[task.name], outputs[task.name]) for task in tasks])
    gradients = tape.gradient(loss, [v.value for v in network.trainable_variables])
    for variable, gradient in zip(network.trainable_variables, gradients, strict=True):
        assert gradient is not None, variable.path
        assert np.abs(gradient).max() > 0, variable.path


# Tracing takes seconds per network, and the traced step is the eager one.
TRACED = [("hard_sharing", "graph"), ("mmoe", "jit")]


@pytest.mark.parametrize(
    ("name", "tasks", "mode"),
    [
        pytest.param(
            *(name, count, mode),
            marks=() if mode == "eager" or (name, mode) in TRACED else pytest.mark.slow,
        )
        for name in NAMES
        for usual in [setting(name).usual_count]
        for count, mode in [
            (usual, "eager"),
            (usual, "jit"),
            *((count, "graph") for count in setting(name).counts if count != usual),
        ]
    ],
    indirect=["tasks"],
)
def test_a_fit_step_is_finite_and_moves_the_network(name, tasks, mode):
    network, features = build(name, tasks), setting(name).features()
    before = [np.asarray(variable) for variable in network.trainable_variables]
    network.compile(
        "adam" if mode == "graph" else "sgd",  # XLA takes seconds for Adam's many small ops
        **mtl.compile_args(tasks),
        jit_compile=mode == "jit",
        run_eagerly=mode == "eager",
    )
    logs = network.fit(features, setting(name).labels(tasks), batch_size=ROWS, verbose=0).history
    assert all(np.isfinite(values).all() for values in logs.values())
    for variable, value in zip(network.trainable_variables, before, strict=True):
        assert np.abs(np.asarray(variable) - value).max() > 0, variable.path


@every_count
def test_a_saved_network_predicts_the_same(name, tasks, tmp_path):
    network, features = built(name, len(tasks)), setting(name).features()
    network.save(tmp_path / "network.keras")
    again = keras.models.load_model(tmp_path / "network.keras")
    before, after = predict(network, features), predict(again, features)
    assert list(before) == list(after)
    for task in tasks:
        np.testing.assert_array_equal(before[task.name], after[task.name])


@long
def test_an_exported_network_serves_outputs_named_after_the_tasks(name, tmp_path):
    tasks = setting(name).tasks(setting(name).counts[-1])
    network, features = built(name, len(tasks)), setting(name).features()
    network.export(tmp_path / "1", verbose=False)
    served = tf.saved_model.load(tmp_path / "1")
    outputs = served.signatures["serving_default"](tf.constant(features[:5]))
    expected = predict(network, features[:5])
    assert outputs.keys() == expected.keys()
    for task in tasks:
        np.testing.assert_allclose(outputs[task.name], expected[task.name], atol=1e-6)


@every_count_long
def test_two_builds_share_no_variable(name, tasks):
    features = setting(name).features()
    first, second = build(name, tasks), built(name, len(tasks))
    assert not {id(v) for v in first.variables} & {id(v) for v in second.variables}
    before = predict(second, features)
    for variable in first.weights:
        variable.assign(variable.value + 1.0)
    after = predict(second, features)
    assert all(np.array_equal(before[key], after[key]) for key in before)


@every_count_long
def test_the_same_seed_gives_the_same_weights(name, tasks):
    values = []
    for seed in (3, 3, 4):
        keras.utils.set_random_seed(seed)
        values.append([np.asarray(variable) for variable in build(name, tasks).weights])
    assert all(map(np.array_equal, values[0], values[1]))
    assert not all(map(np.array_equal, values[0], values[2]))


def test_no_two_layers_of_a_network_start_alike(name):
    kernels = {}
    for variable in built(name, setting(name).usual_count).trainable_variables:
        if "kernel" in variable.name:
            value = np.asarray(variable)
            for earlier, other in kernels.items():
                assert value.shape != other.shape or np.abs(value - other).max() > 0.01, earlier
            kernels[variable.path] = value
    assert kernels


@every_count
def test_variable_paths_are_unique_and_name_their_part(name, tasks):
    paths = [variable.path for variable in built(name, len(tasks)).weights]
    assert len(set(paths)) == len(paths)
    owners = tuple(f"{owner}_" for owner in ["shared", *(task.name for task in tasks)])
    assert all(path.startswith(owners) for path in paths)


@long
def test_mixed_precision_gives_float32_outputs(name):
    tasks = setting(name).tasks(setting(name).usual_count)
    features, labels = setting(name).features(), setting(name).labels(tasks)
    with policy("mixed_float16"):
        network = build(name, tasks)
    outputs = network(features)
    assert {keras.backend.standardize_dtype(o.dtype) for o in outputs.values()} == {"float32"}
    assert {variable.dtype for variable in network.weights} == {"float32"}
    network.compile("sgd", **mtl.compile_args(tasks))
    logs = network.train_on_batch(features, labels, return_dict=True)
    assert all(np.isfinite(value) for value in logs.values())


@pytest.mark.parametrize(
    ("name", "shape"),
    [everyday(name, shape) for name in NAMES for shape in [(4, SIZE), (3, 4, SIZE)]],
)
def test_predictions_at_each_position_equal_those_of_rows(name, shape):
    # Dense parts see no neighbors, so that each position is a row.
    make = {2: Task.tagging, 3: Task.segmentation}[len(shape)]
    keras.utils.set_random_seed(5)
    dense_tasks = [make("tags", 3), make("parts", 4)]
    inputs = keras.Input((*[None] * (len(shape) - 1), SIZE))
    network = getattr(architectures, name)(inputs, dense_tasks, **CASES.get(name, {}))
    keras.utils.set_random_seed(5)
    rows = build(name, [Task.multiclass("tags", 3), Task.multiclass("parts", 4)])
    rows.set_weights(network.get_weights())
    features = np.random.default_rng(0).normal(size=(2, *shape)).astype("float32")
    expected = predict(rows, features.reshape(-1, SIZE))
    for key, value in predict(network, features).items():
        assert value.shape[:-1] == (2, *shape[:-1])
        np.testing.assert_allclose(value.reshape(expected[key].shape), expected[key], atol=1e-6)


def pool(features):
    return keras.layers.GlobalAveragePooling1D()(features)


def read_words(name, tasks, **arguments):
    words = keras.Input((None,), dtype="int32")
    features = keras.layers.Embedding(9, SIZE, mask_zero=True)(words)
    return getattr(architectures, name)(features, tasks, **CASES.get(name, {}) | arguments)


def test_a_tagging_and_a_pooled_task_share_a_masked_sequence(name):
    def spam_head(features):
        return keras.layers.Dense(1, activation="sigmoid")(pool(features))

    spam = Task("spam", head=spam_head, loss="binary_crossentropy", metrics=["auc"])
    tasks = [spam, Task.tagging("pos", 5)]
    network = read_words(name, tasks)
    tokens = np.array([[3, 1, 4, 0, 0], [5, 2, 0, 0, 0]])
    outputs = network(tokens)
    assert outputs["spam"].shape == (2, 1)
    np.testing.assert_array_equal(outputs["pos"]._keras_mask, tokens != 0)
    network.compile("sgd", **mtl.compile_args(tasks), run_eagerly=True)
    logs = []
    for padding in (0, 2):  # the labels at padded positions must not count
        labels = {"spam": np.array([0, 1]), "pos": np.where(tokens == 0, padding, tokens % 5)}
        logs.append(network.test_on_batch(tokens, labels, return_dict=True))
    assert logs[0]["pos_mean_loss"] == logs[1]["pos_mean_loss"] != 0


@long
def test_a_recipe_tower_pools_a_masked_sequence(name):
    network = read_words(name, [Task.binary("spam"), Task.count("calls")], tower=pool)
    short, padded = network(np.array([[3, 1]])), network(np.array([[3, 1, 0, 0]]))
    for task in ("spam", "calls"):
        assert short[task].shape == (1, 1)
        np.testing.assert_allclose(short[task], padded[task], atol=1e-6)


@long
def test_a_row_task_at_the_end_of_a_sequence_is_refused(name):
    with pytest.raises(ValueError, match="task 'spam': its labels need a prediction of rank 2"):
        read_words(name, [Task.binary("spam")])


@long
def test_a_live_tower_is_refused(name):
    live = keras.layers.Dense(4)
    with pytest.raises(TypeError, match=r"a_tower: received the live layer"):
        getattr(architectures, name)(keras.Input((4,)), [Task.binary("a")], tower=live)
    tasks = [Task.binary("zeta"), Task.binary("alpha")]
    with pytest.raises(ValueError, match="'zeta' and 'alpha' share the layer"):
        getattr(architectures, name)(keras.Input((4,)), tasks, tower=lambda x: live(x))


def test_tasks_are_checked(name):
    builder = getattr(architectures, name)
    with pytest.raises(TypeError, match="put 'a' in a list"):
        builder(keras.Input((4,)), Task.binary("a"))
    with pytest.raises(ValueError, match="at least one task"):
        builder(keras.Input((4,)), [])
