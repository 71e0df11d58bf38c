"""Coarse labels of fine classes, and tokens that follow others."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

import keras_mtl as mtl
from keras_mtl import Task

GROUPS = [[0, 3], [1, 2, 4]]
FINE, COARSE = Task.multiclass("zoo", 5), Task.marginal("kind", of="zoo", groups=GROUPS)
X = np.random.default_rng(0).normal(size=(12, 4)).astype("float32")
FINE_LABELS = np.arange(12) % 5
COARSE_LABELS = np.isin(FINE_LABELS, GROUPS[1]).astype(int)


def build(tasks, **options):
    keras.utils.set_random_seed(0)
    return mtl.architectures.hard_sharing(
        keras.Input((4,)), tasks, shared=(6,), tower=(5,), **options
    )


def data():
    """Returns two batches with few fine labels and a gap among the coarse ones."""
    labels = {
        "zoo": np.where(np.arange(12) < 4, FINE_LABELS, -1),
        "kind": np.where(np.arange(12) == 5, -1, COARSE_LABELS),
    }
    batches = tf.data.Dataset.from_tensor_slices((X, labels)).batch(6)
    return mtl.data.mask_missing(batches, [FINE, COARSE])


def test_a_group_has_the_sum_of_the_probabilities_of_its_classes():
    network = build([COARSE, FINE])  # in any order
    outputs = {name: np.array(values, "float64") for name, values in network(X).items()}
    assert list(network.output) == ["kind", "zoo"]
    for g, group in enumerate(GROUPS):
        np.testing.assert_allclose(
            outputs["kind"][:, g], outputs["zoo"][:, group].sum(-1), rtol=1e-5
        )
    assert len(network.trainable_variables) == len(build([FINE]).trainable_variables)


def test_a_coarse_label_has_the_gradient_of_the_equation():
    """d(-log P(g)) / dz_c = p_c - [c in g] p_c / P(g), with logits z."""
    network = build([FINE, COARSE])
    z = tf.Variable(3 * X[:, :1] + np.arange(5.0, dtype="float32") * X[:, 1:2])
    layer = network.get_layer("kind_marginal")
    loss = COARSE.make_loss()
    with tf.GradientTape() as tape:
        value = loss(COARSE_LABELS, layer(z))
    p = np.exp(z.numpy() - z.numpy().max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    inside = np.stack([np.isin(np.arange(5), GROUPS[label]) for label in COARSE_LABELS])
    sums = (p * inside).sum(-1, keepdims=True)
    np.testing.assert_allclose(value, -np.log(sums).mean(), rtol=1e-5)
    np.testing.assert_allclose(tape.gradient(value, z), (p - inside * p / sums) / 12, atol=1e-6)
    # The gradient of a group that is all but excluded does not vanish, as with clipped sums.
    z = tf.Variable([[0.0, 60.0, 0.0, 0.0, 0.0]])
    with tf.GradientTape() as tape:
        value = loss(np.array([0]), layer(z))
    np.testing.assert_allclose(value, 60 - np.log(2), rtol=1e-6)
    np.testing.assert_allclose(tape.gradient(value, z)[0, :2], [-0.5, 1.0], atol=1e-6)


def test_balancers_see_the_gradients_of_plain_keras():
    """The head of the fine task is part of the trunk: both tasks train it."""
    batches, steps = data().take(1), []
    for at in (None, "parameters", "representation"):
        network, optimizer = build([FINE, COARSE]), keras.optimizers.SGD(0.1)
        if at is None:
            network.compile(optimizer, run_eagerly=True, **mtl.compile_args([FINE, COARSE]))
            network.fit(batches, verbose=0, shuffle=False)
        else:
            rule = mtl.balancers.TrimmedMean(trim=0)
            model = mtl.BalancedModel(network, [FINE, COARSE], rule, at=at)
            model.compile(optimizer, run_eagerly=True)
            model.fit(batches, verbose=0)
        steps.append([variable.numpy() for variable in network.trainable_variables])
    before = [variable.numpy() for variable in build([FINE, COARSE]).trainable_variables]
    for start, stock, *balanced in zip(before, *steps, strict=True):
        for end in balanced:  # the mean of two gradients, and not their sum
            np.testing.assert_allclose(2 * (end - start), stock - start, atol=1e-6)


def test_another_network_takes_the_output_of_its_fine_task():
    inputs = keras.Input((4,))
    zoo = keras.layers.Dense(5, activation="softmax", name="zoo")(inputs)  # without a logits layer
    network = keras.Model(inputs, {"zoo": zoo, "kind": COARSE.output(zoo)})
    outputs = network(X)
    np.testing.assert_allclose(
        outputs["kind"][:, 0], ops.sum(ops.take(outputs["zoo"], GROUPS[0], -1), -1), rtol=1e-5
    )


def test_a_marginal_task_is_saved_and_cut_out(tmp_path):
    network = build([FINE, COARSE])
    network.save(tmp_path / "network.keras")
    back = keras.models.load_model(tmp_path / "network.keras")
    for name, values in network(X).items():
        np.testing.assert_allclose(back(X)[name], values, rtol=1e-6)
    alone = mtl.export.single_task(network, [COARSE])
    np.testing.assert_allclose(alone(X)["kind"], network(X)["kind"], rtol=1e-6)
    config = keras.saving.serialize_keras_object(COARSE)
    task = keras.saving.deserialize_keras_object(config)
    assert task.head == COARSE.head
    assert keras.saving.serialize_keras_object(task) == config


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Task.marginal("kind", of="zoo", groups=[[0, 1]]), "task 'kind': groups are two"),
        (lambda: Task.marginal("kind", of="zoo", groups=[[0], [0, 1]]), "task 'kind': groups"),
        (lambda: Task.marginal("kind", of="zoo", groups=[[0], [2]]), "task 'kind': groups"),
        (lambda: Task.marginal("kind", of="zoo", groups=[[0, 1], []]), "task 'kind': groups"),
        (lambda: build([COARSE]), "task 'kind': .* 'zoo', which has no output here"),
        (lambda: build([Task.multiclass("zoo", 4), COARSE]), "task 'kind': its groups hold 5"),
        (lambda: COARSE.output(keras.Input((5,))), "task 'kind': .* call task.output"),
        (
            lambda: mtl.architectures.joint_network(keras.Input((4,)), [FINE, COARSE]),
            "task 'kind': .* logits of its own",
        ),
        (lambda: Task.generation("text", 1), "task 'text': vocabulary_size"),
    ],
)
def test_what_cannot_be_summed_is_refused_by_the_name_of_the_task(make, message):
    with pytest.raises(ValueError, match=message):
        make()


TOKENS = np.array([[5, 7, 9, 0], [3, 0, 0, 0]], "int32")
TEXT = Task.generation("text", 10)


def token_data(**entries):
    return tf.data.Dataset.from_tensor_slices(({"tokens": TOKENS}, entries)).batch(2)


def test_tokens_are_moved_by_one_and_padding_is_missing():
    batches = mtl.data.mask_missing(mtl.data.teacher_forcing(token_data(), TEXT, start=2), [TEXT])
    x, y, w = next(iter(batches))
    assert x["tokens"].numpy().tolist() == [[2, 5, 7, 9], [2, 3, 0, 0]]
    assert y["text"].numpy().tolist() == [[5, 7, 9, 0], [3, 0, 0, 0]]
    assert w["text"].numpy().tolist() == [[1, 1, 1, 0], [1, 0, 0, 0]]
    assert int(batches.cardinality()) == 1


def test_the_loss_is_that_of_the_tokens_that_are_there_and_nothing_looks_ahead():
    click = Task.binary("click")
    batches = mtl.data.teacher_forcing(token_data(click=np.array([1.0, 0.0])), TEXT)
    batches = mtl.data.mask_missing(batches, [TEXT, click])
    inputs = {"tokens": keras.Input((4,), dtype="int32", name="tokens")}
    embedded = keras.layers.Embedding(10, 6)(inputs["tokens"])
    read = keras.layers.GRU(6, return_sequences=True)(embedded)
    outputs = {"text": TEXT.output(read), "click": click.output(read[:, -1])}
    network = keras.Model(inputs, outputs)
    model = mtl.BalancedModel(network, [TEXT, click], mtl.balancers.Equal())
    model.compile("sgd", run_eagerly=True)
    scores = model.evaluate(batches, verbose=0, return_dict=True)
    x, y, w = next(iter(batches))
    p = np.take_along_axis(network(x)["text"].numpy(), y["text"].numpy()[..., None], -1)[..., 0]
    expected = -np.log(p[w["text"].numpy() > 0]).mean()
    np.testing.assert_allclose(scores["text_mean_loss"], expected, rtol=1e-5)
    np.testing.assert_allclose(scores["text_perplexity"], np.exp(expected), rtol=1e-5)
    changed = x["tokens"].numpy().copy()
    changed[:, 2] = 8
    before, after = network(x)["text"], network({"tokens": changed})["text"]
    np.testing.assert_allclose(after[:, :2], before[:, :2], atol=1e-6)
    assert np.abs(after[:, 2] - before[:, 2]).max() > 1e-4


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: mtl.data.teacher_forcing(token_data(), TEXT, tokens="words"), "no input 'words'"),
        (lambda: mtl.data.teacher_forcing(token_data(text=TOKENS), TEXT), "labels of it already"),
        (lambda: mtl.data.teacher_forcing(token_data(), TEXT, start=0), "start is a token"),
        (lambda: mtl.data.teacher_forcing(token_data(), TEXT, start=10), "start is a token"),
    ],
)
def test_what_is_no_sequence_of_tokens_is_refused_by_the_name_of_the_task(make, message):
    with pytest.raises(ValueError, match=f"task 'text': .*{message}"):
        make()


@pytest.mark.slow
def test_marginal_tasks_train_under_xla_and_are_served_in_every_format(tmp_path):
    network = build([FINE, COARSE])
    model = mtl.BalancedModel(network, [FINE, COARSE], mtl.balancers.PCGrad())
    model.compile("adam", jit_compile=True)
    history = model.fit(data(), epochs=2, verbose=0).history
    assert all(np.isfinite(values).all() for values in history.values())
    folder = mtl.export.saved_model(
        network, [FINE, COARSE], tmp_path / "1", formats=["onnx", "litert"]
    )
    served = tf.saved_model.load(folder).signatures["kind"]
    (name,) = served.structured_input_signature[1]
    np.testing.assert_allclose(
        served(**{name: tf.constant(X)})["kind"], network(X)["kind"], rtol=1e-5, atol=1e-6
    )
