"""Times until an event, and lists that are put in order: equations, masks, refusals, doors."""

import itertools
import json
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import scipy.special
import sklearn.metrics
import tensorflow as tf
from keras import ops

import keras_mtl as mtl
from keras_mtl import Task
from keras_mtl._tasks._kinds._cox import CoxPartialLikelihood
from keras_mtl._tasks._kinds._hazards import HazardLikelihood, SurvivalCurve
from keras_mtl._tasks._kinds._list_losses import ListMLE, ListNet, ListSoftmax, PairwiseLogistic

LOSSES = {
    "pairwise": PairwiseLogistic,
    "listnet": ListNet,
    "softmax": ListSoftmax,
    "listmle": ListMLE,
}
RELEVANCES, SCORES = np.array([[2.0, 0.0, 1.0]]), np.array([[0.5, 0.8, -0.2]])
BINS = [1.0, 2.0, 4.0]


def hazard_loss(time, event, logits, bins):
    """Returns the loss of one example, bin by bin."""
    hazards, loss = scipy.special.expit(np.asarray(logits, "float64")), 0.0
    for end, hazard in zip(bins, hazards, strict=True):
        if event and time <= end:
            return loss - np.log(hazard)
        if time < end:
            return loss
        loss -= np.log1p(-hazard)
    return loss


def cox_loss(times, events, scores, ties):
    """Returns the sum over the events, group by group of equal times."""
    total = 0.0
    for time in np.unique(times[events == 1]):
        tied = scores[(times == time) & (events == 1)]
        at_risk = np.exp(scores[times >= time]).sum()
        total -= tied.sum()
        for position in range(len(tied)):
            share = position / len(tied) if ties == "efron" else 0.0
            total += np.log(at_risk - share * np.exp(tied).sum())
    return total


def concordance(counts, events, scores, weights):
    right = pairs = 0.0
    for i, j in itertools.permutations(range(len(counts)), 2):
        if events[i] and counts[j] > counts[i]:
            pairs += weights[i] * weights[j]
            right += (
                weights[i] * weights[j] * ((scores[j] > scores[i]) + 0.5 * (scores[j] == scores[i]))
            )
    return right / pairs


def test_hazards_have_the_golden_values_and_those_of_a_loop_over_the_bins():
    curve = SurvivalCurve()(ops.array([[-1.0, 0.4, 0.5]] * 2))
    labels = ops.array([[1.5, 1.0], [2.0, 0.0]])  # an event in bin 1, counted from 0; or none yet
    values = HazardLikelihood(BINS).call(labels, curve)
    np.testing.assert_allclose(values, [0.8263, 1.2263], atol=5e-5)
    rng = np.random.default_rng(0)
    times = rng.choice([0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0], 40)
    events, logits = rng.integers(0, 2, 40), rng.normal(size=(40, 3))
    curve = SurvivalCurve()(ops.array(logits))
    labels = np.stack([times, events], -1)
    values = HazardLikelihood(BINS).call(labels, curve)
    expected = [hazard_loss(*row, z, BINS) for row, z in zip(labels, logits, strict=True)]
    np.testing.assert_allclose(values, expected, atol=1e-5)
    served = ops.array(np.array(curve))  # without the logits
    np.testing.assert_allclose(HazardLikelihood(BINS).call(labels, served), expected, atol=1e-4)
    steps = 1 - scipy.special.expit(logits)
    np.testing.assert_allclose(curve, np.cumprod(steps, -1), rtol=1e-5)


def test_hazards_are_stable_for_large_logits():
    z = tf.constant([[100.0, -100.0, 90.0]])
    for label in ([[0.5, 1.0]], [[1.5, 1.0]], [[9.0, 0.0]]):
        with tf.GradientTape() as tape:
            tape.watch(z)
            value = HazardLikelihood(BINS).call(tf.constant(label), SurvivalCurve()(z))
        np.testing.assert_allclose(
            value[0], hazard_loss_of_logits(label[0], z[0].numpy()), atol=1e-30
        )
        assert np.isfinite(tape.gradient(value, z)).all()


def hazard_loss_of_logits(label, z):
    survived = np.logaddexp(0, z)
    return {0.5: np.logaddexp(0, -z[0]), 1.5: survived[0] + np.logaddexp(0, -z[1])}.get(
        label[0], survived.sum()
    )


def test_cox_has_the_golden_values():
    scores = np.array([[0.5], [-0.2], [0.3], [0.0]])
    labels = np.stack([[1.0, 2.0, 3.0, 4.0], [1.0, 0.0, 1.0, 1.0]], -1)
    value = CoxPartialLikelihood().call(labels, scores)
    np.testing.assert_allclose(3 * value, 1.6266, atol=5e-5)
    tied = np.stack([[1.0, 2.0, 2.0, 3.0], [1.0, 1.0, 1.0, 0.0]], -1)
    for ties, golden in (("breslow", 3.2788), ("efron", 2.8599)):
        value = CoxPartialLikelihood(ties=ties).call(tied, scores)
        np.testing.assert_allclose(3 * value, golden, atol=5e-5)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_cox_is_that_of_a_loop_over_times_and_finite_for_large_scores(ties):
    rng = np.random.default_rng(1)
    times, events = rng.integers(1, 6, 30).astype("float64"), rng.integers(0, 2, 30)
    scores = rng.normal(size=30)
    labels, loss = np.stack([times, events], -1), CoxPartialLikelihood(ties=ties)
    expected = cox_loss(times, events, scores, ties) / events.sum()
    np.testing.assert_allclose(loss.call(labels, scores[:, None]), expected, rtol=1e-5)
    large = tf.constant(100 * scores[:, None], "float32")
    for events_now in (events, np.zeros(30)):
        with tf.GradientTape() as tape:
            tape.watch(large)
            value = loss.call(np.stack([times, events_now], -1), large)
        assert np.isfinite(value) and np.isfinite(tape.gradient(value, large)).all()
    assert float(value) == 0.0  # without an event


def test_concordance_counts_the_pairs_of_all_batches():
    rng = np.random.default_rng(2)
    times, events = rng.uniform(0, 5, 30), rng.integers(0, 2, 30)
    labels, weights = np.stack([times, events], -1), rng.random(30)
    scores = rng.permutation(np.linspace(-3, 3, 30))
    scores[5] = scores[6]
    curves = np.repeat(scipy.special.expit(scores)[:, None], 3, -1)
    ends = np.array(BINS)
    counts = [int((ends < t).sum() if e else (ends <= t).sum()) for t, e in labels]
    for predictions in (curves, -scores[:, None]):
        metric = mtl.metrics.Concordance(BINS)
        for part in (slice(0, 11), slice(11, 30)):
            metric.update_state(labels[part], predictions[part], weights[part])
        expected = concordance(counts, events, scores, weights)
        np.testing.assert_allclose(metric.result(), expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("loss", "golden"),
    [
        ("pairwise", (0.8544 + 0.4032 + 1.3133) / 3),
        ("listnet", 1.1904),
        ("softmax", 1.2794),
        ("listmle", 2.3593),
    ],
)
def test_lists_have_the_golden_values_and_missing_items_are_not_there(loss, golden):
    """A list with gaps is the shorter list, whatever stands in the gaps; so are its gradients."""
    task_loss = Task.ranking("offers", loss=loss).make_loss()
    np.testing.assert_allclose(task_loss(RELEVANCES, SCORES[..., None]), golden, atol=1e-4)
    labels = np.array([[2.0, -1.0, 0.0, 9.0, 1.0], [1.0, 1.0, 1.0, 1.0, 0.0]])
    scores = tf.constant([[0.5, 1e30, 0.8, -1e30, -0.2], [3.0, 1.0, 2.0, 4.0, 5.0]])[..., None]
    weights = np.array([[1.0, 0.0, 1.0, 0.0, 1.0], [0.0, 0.0, 0.0, 1.0, 0.0]])
    with tf.GradientTape() as tape:
        tape.watch(scores)
        value = task_loss(labels, scores, weights)  # the second list has nothing to compare
    np.testing.assert_allclose(value, golden, atol=1e-4)
    gradient = np.array(tape.gradient(value, scores))[..., 0]
    assert np.isfinite(gradient).all()
    assert not gradient[weights == 0].any() and not gradient[1].any()
    whole = tf.constant(SCORES[..., None], "float32")
    with tf.GradientTape() as tape:
        tape.watch(whole)
        value = task_loss(RELEVANCES, whole)
    np.testing.assert_allclose(
        gradient[0, [0, 2, 4]], tape.gradient(value, whole)[0, :, 0], atol=1e-6
    )


def test_the_mask_of_the_network_and_zero_weights_say_the_same():
    scores = keras.layers.Masking()(np.array([[[0.5], [0.0], [0.8], [-0.2]]], "float32"))
    labels = np.array([[2.0, 5.0, 0.0, 1.0]])
    for loss in LOSSES:
        task_loss = Task.ranking("offers", loss=loss).make_loss()
        expected = task_loss(RELEVANCES, SCORES[..., None])
        np.testing.assert_allclose(task_loss(labels, scores), expected, rtol=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_right_order_by_a_wide_margin_costs_nothing(loss):
    """Popular code adds a number inside of a logarithm: 7 in the place of 0."""
    labels = (
        np.array([[3.0, 2.0, 1.0]]) if loss in ("pairwise", "listmle") else np.array([[40.0, 0, 0]])
    )
    value = Task.ranking("offers", loss=loss).make_loss()(
        labels, np.array([[[60.0], [30.0], [0.0]]])
    )
    assert float(value) < 1e-6


def test_items_of_equal_relevance_may_stand_in_any_order():
    rng = np.random.default_rng(3)
    labels, scores = rng.integers(0, 3, (4, 6)), rng.normal(size=(4, 6))
    order = rng.permutation(6)
    for loss in LOSSES.values():
        values = loss().call(labels, scores)
        np.testing.assert_allclose(
            loss().call(labels[:, order], scores[:, order]), values, rtol=1e-5
        )


def test_a_list_weighs_as_much_as_its_items_do_on_average():
    rng = np.random.default_rng(4)
    labels, scores = rng.integers(0, 3, (3, 5)), rng.normal(size=(3, 5, 1))
    weights = rng.random((3, 5)) + 0.5
    values = PairwiseLogistic().call(labels, scores)
    total = Task.ranking("offers").make_loss()(labels, scores, weights)
    np.testing.assert_allclose(total, np.average(values, weights=weights.mean(-1)), rtol=1e-5)


def test_the_reciprocal_rank_and_the_gain_leave_out_missing_items():
    rng = np.random.default_rng(5)
    labels, scores = rng.integers(0, 2, (12, 6)).astype(float), rng.normal(size=(12, 6))
    labels[0] = 0
    valid = rng.random((12, 6)) < 0.7
    valid[:, 0] = True
    rows = [(y[v], s[v]) for y, s, v in zip(labels, scores, valid, strict=True)]
    ranks = [next((1 / r for r, i in enumerate(np.argsort(-s), 1) if y[i]), 0.0) for y, s in rows]
    gains = [sklearn.metrics.ndcg_score([y], [s]) if len(y) > 1 else y.sum() for y, s in rows]
    task = Task.ranking("offers", metrics=["mrr", "ndcg"])
    metrics = task.make_metrics()
    for metric, expected in zip(metrics, (ranks, gains), strict=False):
        metric.update_state(labels, scores[..., None], valid.astype("float32"))
        np.testing.assert_allclose(metric.result(), np.mean(expected), rtol=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Task.survival("zoo", []), "task 'zoo': bins are the ends"),
        (lambda: Task.survival("zoo", [2.0, 1.0]), "task 'zoo': bins"),
        (lambda: Task.survival("zoo", [0.0, 1.0]), "task 'zoo': bins"),
        (lambda: Task.survival("zoo", [1.0], method="weibull"), "task 'zoo': method"),
        (lambda: Task.survival("zoo", [1.0], method="cox", ties="exact"), "task 'zoo': ties"),
        (lambda: Task.survival("zoo", BINS, metrics=["mae"]), "task 'zoo': .*'concordance'"),
        (lambda: Task.survival("zoo", BINS, metrics=[lambda_metric]), "task 'zoo': .*'row'"),
        (lambda: Task.regression("zoo", metrics=["concordance"]), "task 'zoo': .*Task.survival"),
        (lambda: Task.ranking("zoo", 1), "task 'zoo': a list has at least two items"),
        (lambda: Task.ranking("zoo", loss="lambda"), "task 'zoo': loss is one of"),
        (lambda: Task.ranking("zoo", metrics=["auc"]), "task 'zoo': .*'ndcg'"),
        (lambda: Task.ranking("zoo", metrics=["mae"]), "task 'zoo': .*'ndcg'"),
    ],
)
def test_what_a_kind_cannot_be_is_refused_by_the_name_of_the_task(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def lambda_metric(labels, predictions):
    return ops.mean(predictions, axis=-1)


def test_labels_of_times_are_checked_before_training():
    task, x = Task.survival("zoo", BINS), np.zeros((2, 3))
    for labels, message in (
        ([[1.0, 1.0], [2.0, 0.5]], "task 'zoo': an event is 0.5"),
        ([[1.0, 1.0], [-2.0, 0.0]], "task 'zoo': labels go from -2"),
        ([1.0, 2.0], "task 'zoo': labels have shape"),
    ):
        with pytest.raises(ValueError, match=message):
            mtl.data.check_arrays(x, {"zoo": np.array(labels)}, None, [task])
    with pytest.raises(ValueError, match=r"task 'zoo': .*\(batch, 2\)"):
        task.make_loss()(np.ones((4, 3)), np.ones((4, 3)))
    table = {"age": [1.0, 2.0], "zoo_time": [3.0, np.nan], "zoo_event": [1, 0]}
    x, y, w = next(iter(mtl.data.from_table(table, [task], batch_size=2)))
    assert list(x) == ["age"]
    assert y["zoo"].numpy().tolist() == [[3.0, 1.0], [0.0, 0.0]]
    assert w["zoo"].numpy().tolist() == [[1.0, 1.0], [0.0, 1.0]]


@pytest.fixture(scope="module")
def data():
    """Returns batches of lists with gaps, of times with gaps, and the tasks."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(16, 5, 4)).astype("float32")
    offers = np.where(rng.random((16, 5)) < 0.3, np.nan, rng.integers(0, 3, (16, 5)))
    times = np.stack([rng.uniform(0, 5, 16), rng.integers(0, 2, 16)], -1)
    times[3] = np.nan
    labels = {"zoo": offers, "relapse": times, "axis": times}
    labels = {name: values.astype("float32") for name, values in labels.items()}
    tasks = [
        Task.ranking("zoo", 5, metrics=["ndcg", "mrr"]),
        Task.survival("relapse", BINS),
        Task.survival("axis", BINS, method="cox"),
    ]
    batches = tf.data.Dataset.from_tensor_slices((x, labels)).batch(8)
    return mtl.data.mask_missing(batches, tasks), tasks


def build(tasks):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((5, 4))
    items = keras.layers.Dense(6, "tanh", name="shared")(inputs)
    pooled = keras.layers.GlobalAveragePooling1D()(items)
    features = {"zoo": items, "relapse": pooled, "axis": pooled}
    return keras.Model(inputs, {task.name: task.output(features[task.name]) for task in tasks})


def losses_by_numpy(network, batches):
    """Returns the losses of one batch."""
    x, y, w = next(batches.as_numpy_iterator())
    outputs = {name: np.array(values, "float64") for name, values in network(x).items()}
    lists = []
    for labels, scores, there in zip(y["zoo"], outputs["zoo"][..., 0], w["zoo"] > 0, strict=True):
        pairs = [
            np.logaddexp(0, scores[j] - scores[i])
            for i, j in itertools.permutations(np.flatnonzero(there), 2)
            if labels[i] > labels[j]
        ]
        lists += [np.mean(pairs)] if pairs else []
    rows = (w["relapse"] > 0).all(-1)
    curve = np.concatenate([np.ones((8, 1)), outputs["relapse"]], -1)
    logits = scipy.special.logit(1 - curve[:, 1:] / curve[:, :-1])
    hazards = [hazard_loss(*y["relapse"][i], logits[i], BINS) for i in np.flatnonzero(rows)]
    times, events = y["axis"][rows].T
    cox = cox_loss(times, events, outputs["axis"][rows, 0], "efron") / events.sum()
    return {"zoo": np.mean(lists), "relapse": np.mean(hazards), "axis": cox}


def test_the_losses_of_a_batch_are_those_of_numpy_in_every_way_to_train(data):
    batches, tasks = data
    batches, steps = batches.take(1), []
    for balancer in (None, mtl.balancers.Equal(), mtl.balancers.PCGrad()):
        network = build(tasks)
        expected = losses_by_numpy(network, batches)
        optimizer = keras.optimizers.SGD(0.1)
        if balancer is None:
            network.compile(optimizer, run_eagerly=True, **mtl.compile_args(tasks))
            history = network.fit(batches, verbose=0, shuffle=False).history
        else:
            model = mtl.BalancedModel(network, tasks, balancer)
            model.compile(optimizer, run_eagerly=True)
            history = model.fit(batches, verbose=0).history
        for name, value in expected.items():
            np.testing.assert_allclose(history[f"{name}_mean_loss"], [value], rtol=2e-5)
        assert 0 < history["zoo_ndcg"][0] <= 1 and 0 <= history["relapse_concordance"][0] <= 1
        steps.append([variable.numpy() for variable in network.trainable_variables])
    for stock, equal in zip(*steps[:2], strict=True):
        np.testing.assert_allclose(stock, equal, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("option", ["xla", "mixed", "every", "representation", "served"])
def test_the_kinds_train_in_one_network_under_every_option(data, option, tmp_path):
    batches, tasks = data
    keras.config.set_dtype_policy("mixed_float16" if option == "mixed" else "float32")
    try:
        network = build(tasks)
    finally:
        keras.config.set_dtype_policy("float32")
    at = "representation" if option == "representation" else "parameters"
    every = 2 if option == "every" else 1
    model = mtl.BalancedModel(network, tasks, mtl.balancers.PCGrad(), at=at, every=every)
    model.compile("adam", jit_compile=option == "xla")
    history = model.fit(batches, epochs=2, verbose=0).history
    assert all(np.isfinite(values).all() for values in history.values())
    if option != "served":
        return
    network.save(tmp_path / "network.keras")
    back = keras.models.load_model(tmp_path / "network.keras")
    folder = mtl.export.saved_model(network, tasks, tmp_path / "1", formats=["onnx", "litert"])
    served = tf.saved_model.load(folder).signatures["serving_default"]
    x = next(batches.as_numpy_iterator())[0]
    (name,) = served.structured_input_signature[1]
    answers = served(**{name: tf.constant(x)})
    for name, values in network(x).items():
        np.testing.assert_allclose(answers[name], values, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(back(x)[name], values, rtol=1e-6)
    described = json.loads((folder / "outputs.json").read_text())["tasks"]
    assert [described[task.name]["kind"] for task in tasks] == ["scores", "survival", "survival"]
    assert [described[task.name]["levels"] for task in tasks] == [None, BINS, None]


@pytest.mark.slow
def test_two_replicas_train_every_kind_as_one_device_does():
    """Also Cox, whose risk sets are those of the global batch, and metrics of all examples."""
    script = pathlib.Path(__file__).with_name("kind_replica_runs.py")
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for door, (variables, logs) in json.loads(done.stdout.splitlines()[-1]).items():
        assert variables < 2e-5 and logs < 2e-4, door
