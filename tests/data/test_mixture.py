import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from keras_mtl import Labels, Task, architectures, compile_args
from keras_mtl.data import Annealed, Temperature, mask_missing, mixture
from keras_mtl.data._mixing._order import draw_cycle

# Which tasks each set labels: one alone, one shared, one of two tasks, one of tokens.
TASKS = [
    Task.multiclass("topic", 5),
    Task.binary("liked"),
    Task.regression("price"),
    Task.tagging("pos", 5),
]
HAS = {"b": ["topic"], "a": ["topic", "liked"], "d": ["price", "liked"], "c": ["pos"]}
SMALL = settings(max_examples=6, deadline=None, phases=[Phase.generate])


def label(name, ids):
    ids = np.asarray(ids)
    return {
        "topic": ids % 5,
        "liked": (ids % 2).astype("float32"),
        "price": ids,
        "pos": (ids[..., None] + np.arange(3)) % 5,
    }[name]


def make_set(name, size):
    ids = np.arange(size) + 1000 * list(HAS).index(name)
    labels = {task: label(task, ids) for task in HAS[name]}
    return tf.data.Dataset.from_tensor_slices((ids, labels))


def make_sets(sizes):
    return {name: make_set(name, size) for name, size in zip(HAS, sizes, strict=False)}


def tasks_of(sets):
    return [task for task in TASKS if any(task.name in HAS[name] for name in sets)]


def check(element, sets):
    """Checks that each example has its set's labels, with weight 1, no others; returns the ids."""
    ids, y, w = keras.tree.map_structure(np.asarray, element)
    assert list(y) == list(w) == [task.name for task in tasks_of(sets)]
    names = np.array(list(HAS))[ids // 1000]
    for task in y:
        has = np.isin(names, [name for name in HAS if task in HAS[name]])
        expected = label(task, ids)
        has = has.reshape(has.shape + (1,) * (expected.ndim - has.ndim))
        np.testing.assert_array_equal(y[task], np.where(has, expected, 0))
        np.testing.assert_array_equal(w[task], np.broadcast_to(has, expected.shape))
        assert w[task].dtype == np.float32
    return np.atleast_1d(ids).tolist()


def ids_of(sets):
    return sorted(int(x) for dataset in sets.values() for x, _ in dataset)


SAMPLED = ["proportional", "uniform", "round_robin"]
SIZES = st.lists(st.integers(1, 12), min_size=1, max_size=4)


@SMALL
@given(SIZES, st.integers(1, 9), st.sampled_from(SAMPLED), st.integers(0, 3), st.booleans())
def test_no_example_is_lost_doubled_or_given_to_a_wrong_task(
    sizes, batch_size, sampling, seed, drop
):
    sets = make_sets(sizes)
    if drop and sum(sizes) < batch_size:
        return
    options = {"batch_size": batch_size, "drop_remainder": drop, "seed": seed}
    mixed = mixture(sets, tasks_of(sets), sampling=sampling, until="once", **options)
    elements = list(mixed)
    assert mixed.cardinality() == len(elements)
    ids = [number for element in elements for number in check(element, sets)]
    assert (
        len(set(ids)) == len(ids) == (sum(sizes) // batch_size * batch_size if drop else sum(sizes))
    )
    assert set(ids) <= set(ids_of(sets))
    # The examples of a set come in its order, except within a batch.
    for place in range(len(sets)):
        for earlier, later in itertools.pairwise(elements):
            batches = (np.asarray(x) for x, *_ in (earlier, later))
            first, second = (ids[ids // 1000 == place] for ids in batches)
            assert not first.size or not second.size or first.max() < second.min()


@SMALL
@given(SIZES, st.sampled_from(SAMPLED), st.integers(0, 3))
def test_single_examples_and_whole_batches_come_once_each_and_in_order(sizes, sampling, seed):
    sets = make_sets(sizes)
    tasks = tasks_of(sets)
    mixed = mixture(sets, tasks, sampling=sampling, until="once", seed=seed)
    assert mixed.cardinality() == sum(sizes)
    ids = [number for element in mixed for number in check(element, sets)]
    assert sorted(ids) == ids_of(sets)
    for place in range(len(sets)):
        of_set = [number for number in ids if number // 1000 == place]
        assert of_set == sorted(of_set)
    batched = {name: dataset.batch(5) for name, dataset in sets.items()}
    mixed = mixture(batched, tasks, sampling=sampling, until="once", seed=seed)
    batches = [check(element, sets) for element in mixed]
    assert mixed.cardinality() == len(batches)
    assert sorted(itertools.chain(*batches)) == ids_of(sets)
    assert all(len({number // 1000 for number in batch}) == 1 for batch in batches)


SAMPLINGS = {
    "uniform": "uniform",
    "round_robin": "round_robin",
    "rates": {"b": 0.7, "a": 0.1, "d": 0.2},
    "temperature": Temperature(2.0, cap=5),
}


@pytest.mark.parametrize(
    ("sampling", "batch_size"),
    [("uniform", 4), ("round_robin", None), ("rates", None), ("temperature", 4)],
)
def test_an_epoch_ends_with_its_first_or_with_its_last_set(sampling, batch_size):
    sizes = {"b": 7, "a": 11, "d": 5}
    sets = make_sets(sizes.values())
    for until in ("first", "last"):
        mixed = mixture(
            sets, tasks_of(sets), sampling=SAMPLINGS[sampling], until=until, batch_size=batch_size
        )
        elements = [check(element, sets) for element in mixed]
        assert mixed.cardinality() == len(elements)

        def laps(elements):
            """Returns how often each set was gone through."""
            drawn = np.bincount([number // 1000 for ids in elements for number in ids], minlength=3)
            return drawn / list(sizes.values())

        if until == "first":
            first = elements
        else:
            assert laps(first).max() <= 1 < laps(elements[: len(first) + 1]).max()
            assert laps(elements).min() >= 1 > laps(elements[:-1]).min()
    # Sets that start over do so from their beginning.
    counts = np.bincount([number for ids in elements for number in ids])
    for place, size in enumerate(sizes.values()):
        of_set = counts[1000 * place : 1000 * place + size]
        assert of_set.max() - of_set.min() <= 1


def test_observed_shares_are_the_rates():
    sets = make_sets([100, 40, 10])
    rates = {"b": 0.25, "a": 0.74, "d": 0.01}
    mixed = mixture(sets, tasks_of(sets), sampling=rates, until=512, batch_size=128)
    ids = np.concatenate([np.asarray(x) for x, *_ in mixed])
    shares = np.bincount(ids // 1000) / ids.size
    np.testing.assert_allclose(shares, list(rates.values()), atol=1 / ids.size)


def test_batches_hold_of_each_set_what_the_order_of_draws_says():
    sizes = {"b": 20, "a": 9, "d": 30}
    sets = make_sets(sizes.values())
    mixed = mixture(sets, tasks_of(sets), sampling="uniform", until=50, batch_size=28, seed=3)
    cycle = draw_cycle("uniform", sizes, 28, seed=3).reshape(-1, 28)
    rows = np.array([np.asarray(x) // 1000 for x, *_ in mixed])
    np.testing.assert_array_equal(np.sort(rows, axis=1), np.sort(cycle[:50], axis=1))
    # The rows of a batch are shuffled, so that each replica gets some of every set.
    halves = [np.bincount(half.ravel()) for half in (rows[:, :14], rows[:, 14:])]
    assert np.min(halves) > 0.3 * 50 * 28 / 6


@pytest.mark.parametrize("kind", ["batches", "elements", "sets"])
@pytest.mark.parametrize("sampling", ["proportional", "uniform", "annealed"])
def test_a_restored_iterator_goes_on_with_the_very_next_example(kind, sampling, tmp_path):
    sets = make_sets([30, 20, 9])
    if kind == "sets":
        sets = {name: dataset.batch(3) for name, dataset in sets.items()}
    else:
        sets = {name: dataset.shuffle(10, seed=1) for name, dataset in sets.items()}
    options = {"batch_size": 4} if kind == "batches" else {}
    if sampling == "annealed":
        if kind == "elements":
            return
        options |= {"sampling": Annealed(3), "until": 20}
    mixed = mixture(sets, tasks_of(sets), **({"sampling": sampling} | options)).prefetch(2)

    def follow(iterator, steps):
        return [np.asarray(x).tolist() for x, *_ in itertools.islice(iterator, steps)]

    iterator = iter(mixed)
    follow(iterator, 5)
    saved = tf.train.Checkpoint(iterator=iterator).write(str(tmp_path / "at"))
    rest = follow(iterator, 1000)
    other = iter(mixed)
    follow(other, 2)
    tf.train.Checkpoint(iterator=other).read(saved).assert_consumed()
    assert follow(other, 1000) == rest
    assert len(rest) == int(mixed.cardinality()) - 5


def test_a_seed_fixes_the_stream_and_another_one_changes_it():
    sets = make_sets([20, 20, 20])

    def stream(seed):
        mixed = mixture(sets, tasks_of(sets), batch_size=6, seed=seed)
        return [np.asarray(x).tolist() for x, *_ in mixed]

    assert stream(1) == stream(1) != stream(2)


def test_an_endless_mixture_gives_each_pass_every_example_once():
    sets = make_sets([6, 4, 2])
    mixed = mixture(sets, tasks_of(sets), until=None, batch_size=3)
    assert mixed.cardinality() == tf.data.INFINITE_CARDINALITY
    batches = [check(element, sets) for element in mixed.take(12)]
    for start in (0, 4, 8):
        assert sorted(itertools.chain(*batches[start : start + 4])) == ids_of(sets)


def test_any_function_of_the_step_gives_the_rates():
    sets = {name: dataset.batch(2) for name, dataset in make_sets([5, 5, 5]).items()}

    def rates(step):
        return {"b": 1.0, "a": 0.0, "d": 0.0} if step % 3 else {"b": 0.0, "a": 0.0, "d": 1.0}

    mixed = mixture(sets, tasks_of(sets), sampling=rates, until=7)
    assert [int(x[0]) // 1000 for x, *_ in mixed] == [2, 0, 0, 2, 0, 0, 2]


def test_sets_with_inputs_of_their_own_get_zeros_for_those_of_others():
    y = {"topic": [1, 2]}
    sets = {
        "texts": tf.data.Dataset.from_tensor_slices(({"text": ["x", "y"], "age": [1, 2]}, y)),
        "images": tf.data.Dataset.from_tensor_slices(
            ({"image": np.ones((2, 2, 2), "float32"), "age": [3, 4]}, {"liked": [1, 1]})
        ),
    }
    (element,) = mixture(sets, TASKS[:2], batch_size=4)
    x, y, _ = keras.tree.map_structure(np.asarray, element)
    texts = y["topic"] > 0
    assert sorted(x["text"].tolist()) == [b"", b"", b"x", b"y"]
    assert (x["text"][~texts] == b"").all()
    np.testing.assert_array_equal(x["image"].sum(axis=(1, 2)), np.where(texts, 0, 4))
    assert sorted(x["age"].tolist()) == [1, 2, 3, 4]


def test_weights_of_the_sets_are_kept_and_labels_are_cast_and_squeezed():
    one = tf.data.Dataset.from_tensor_slices(
        ([1, 2], {"liked": np.array([[1.0], [0.0]])}, {"liked": [0.5, 2.0]})
    )
    two = tf.data.Dataset.from_tensor_slices(([3], {"liked": np.array([1], "int32")}))
    (element,) = mixture({"one": one, "two": two}, [Task.binary("liked")], batch_size=3)
    x, y, w = keras.tree.map_structure(np.asarray, element)
    order = np.argsort(x)
    assert y["liked"].dtype == np.float32
    assert y["liked"][order].tolist() == [1, 0, 1]
    assert w["liked"][order].tolist() == [0.5, 2, 1]


def test_labels_of_tokens_are_as_long_as_the_words_where_batches_are_padded():
    tagged = tf.data.Dataset.from_generator(
        lambda: ((np.arange(n), {"pos": np.arange(n) % 5}) for n in (2, 4)),
        output_signature=(tf.TensorSpec([None], "int64"), {"pos": tf.TensorSpec([None], "int64")}),
    ).apply(tf.data.experimental.assert_cardinality(2))
    liked = tf.data.Dataset.from_tensors((np.arange(3), {"liked": 1})).repeat(2)
    tasks = [TASKS[3], TASKS[1]]
    single = mixture({"tagged": tagged, "liked": liked}, tasks)
    padded = single.padded_batch(4)
    x, y, w = next(iter(padded))
    assert x.shape == y["pos"].shape == w["pos"].shape == (4, 4)
    assert sorted(np.sum(w["pos"], axis=1).tolist()) == [0, 0, 2, 4]
    sets = {"tagged": tagged.padded_batch(2), "liked": liked.batch(2)}
    for x, y, _ in mixture(sets, tasks):
        assert x.shape == y["pos"].shape


def test_labels_missing_in_a_set_stay_missing():
    task = Task.regression("price")
    prices = tf.data.Dataset.from_tensor_slices(([1, 2], {"price": [7.0, np.nan]}))
    sets = {"prices": mask_missing(prices, [task]), "b": make_set("b", 3)}
    sets["b"] = sets["b"].map(lambda x, y: (tf.cast(x, tf.int32), y))
    (element,) = mixture(sets, [task, TASKS[0]], batch_size=8)
    _, y, w = keras.tree.map_structure(np.asarray, element)
    assert sorted(y["price"].tolist()) == [0, 0, 0, 0, 7]
    assert w["price"].sum() == 1


def gradients(network, tasks, x, y, w):
    losses = {task.name: task.make_loss() for task in tasks}
    with tf.GradientTape(persistent=True) as tape:
        outputs = network(x)
        values = {
            name: loss(y[name], outputs[name], None if w is None else w[name])
            for name, loss in losses.items()
            if name in y
        }
    return {
        name: (value, tape.gradient(value, network.trainable_variables))
        for name, value in values.items()
    }


def test_losses_and_gradients_are_those_of_a_task_s_own_examples():
    rng = np.random.default_rng(0)
    tasks = TASKS[:3]
    arrays = {}
    for name, size in {"b": 9, "a": 4, "d": 6}.items():
        labels = {task: label(task, np.arange(size)) for task in HAS[name]}
        arrays[name] = (rng.normal(size=(size, 3)).astype("float32"), labels)
    sets = {name: tf.data.Dataset.from_tensor_slices(pair) for name, pair in arrays.items()}
    network = architectures.mmoe(keras.Input((3,)), tasks, num_experts=2, expert=(4,), tower=(3,))
    (batch,) = mixture(sets, tasks, batch_size=19)
    mixed = gradients(network, tasks, *batch)
    for task in tasks:
        labeled = [(x, y) for x, y in arrays.values() if task.name in y]
        x = np.concatenate([x for x, _ in labeled])
        y = {task.name: np.concatenate([y[task.name] for _, y in labeled])}
        loss, expected = gradients(network, tasks, x, y, None)[task.name]
        np.testing.assert_allclose(mixed[task.name][0], loss, rtol=1e-6)
        for got, wanted in zip(mixed[task.name][1], expected, strict=True):
            np.testing.assert_allclose(
                0 if got is None else got, 0 if wanted is None else wanted, atol=1e-6
            )


def test_training_takes_as_many_steps_as_there_are_batches():
    tasks = [Task.multiclass("topic", 5, metrics=()), Task.binary("liked", metrics=())]
    sets = {
        name: dataset.map(lambda x, y: (tf.cast([x], tf.float32) / 1000, y))
        for name, dataset in make_sets([7, 5]).items()
    }
    inputs = keras.Input((1,))
    network = keras.Model(inputs, {task.name: task.output(inputs) for task in tasks})
    network.compile("adam", **compile_args(tasks))
    network.fit(mixture(sets, tasks, batch_size=4), epochs=2, shuffle=False, verbose=0)
    assert network.optimizer.iterations == 6
    scheduled = mixture(sets, tasks, sampling=Annealed(2), until=6, batch_size=4)
    network.fit(scheduled, epochs=2, steps_per_epoch=3, shuffle=False, verbose=0)
    assert network.optimizer.iterations == 12


def test_every_worker_gets_its_share_of_sets_in_files(tmp_path):
    from tensorflow.python.data.experimental.ops.distribute import _AutoShardDataset

    sets = {}
    for place, name in enumerate(("b", "a")):
        files = []
        for part in range(2):
            files.append(str(tmp_path / f"{name}{part}"))
            with tf.io.TFRecordWriter(files[-1]) as writer:
                for number in range(4):
                    writer.write(str(1000 * place + 4 * part + number).encode())
        records = tf.data.TFRecordDataset(files).map(
            lambda text: (tf.strings.to_number(text, tf.int64), {"topic": 1})
        )
        sets[name] = records.apply(tf.data.experimental.assert_cardinality(8))
    mixed = mixture(sets, TASKS[:1], batch_size=2)
    mixed = mixed.map(lambda x, y, w: x)
    shares = [
        np.concatenate([np.asarray(x) for x in _AutoShardDataset(mixed, 2, worker)]).tolist()
        for worker in range(2)
    ]
    assert sorted(shares[0] + shares[1]) == [*range(8), *range(1000, 1008)]
    assert len(shares[0]) == len(shares[1])


def sets_with(**changes):
    ids = np.arange(4)
    sets = {"b": pairs(ids, {"topic": ids}), "a": pairs(ids, {"topic": ids, "liked": ids % 2})}
    return sets | changes


def pairs(x, y, *w):
    """Returns a dataset of `(x, y)` or `(x, y, w)`, with int64 for Python's int."""
    return tf.data.Dataset.from_tensor_slices(
        (keras.tree.map_structure(np.asarray, x), y, *w)
        if isinstance(x, dict)
        else (np.array(x), y, *w)
    )


@pytest.mark.parametrize(
    ("sets", "options", "message"),
    [
        ({}, {"tasks": TASKS[:3]}, "task 'price': no set has labels of it; the sets have"),
        ({"a": pairs([1], {"topik": [1]})}, {}, "set 'a': .*label 'topik' belongs to no task"),
        ({"a": pairs([1], {})}, {}, "set 'a' has no label of any task"),
        (
            {"a": pairs([1], {"topic": [1]}, {"liked": [1.0]})},
            {},
            "set 'a': .*weight 'liked' belongs to no task",
        ),
        ({"c": pairs([1], {"topic": [1]}).take(0)}, {}, "set 'c' is empty"),
        ({"c": pairs([1.0], {"topic": [1]})}, {}, "the input differs .*'c': 'float"),
        ({"c": pairs({"x": [1]}, {"topic": [1]})}, {}, "set 'c' and set 'b' have different struct"),
        (
            {
                "a": pairs([1], {"liked": [[1, 0]]}).batch(1),
                "b": pairs([1], {"liked": [1]}).batch(1),
            },
            {"tasks": TASKS[1:2]},
            "task 'liked': labels have the shapes .*'b'",
        ),
        ({"a": pairs([1], {"topic": [1]}).batch(1)}, {}, r"\['a'\] yield batches"),
        ({"c": make_set("b", 4).filter(lambda *_: True)}, {}, "set 'c': the number .* unknown"),
        ({}, {"sampling": "fair"}, "sampling is 'fair'; expected 'proportional'"),
        ({}, {"sampling": {"a": 1.5, "b": -0.5}}, "set 'b': its rate in sampling is -0.5"),
        ({}, {"sampling": {"a": 1.0, "b": 0.0}}, "set 'b': its rate in sampling is 0"),
        ({}, {"sampling": {"a": 0.5, "b": 0.6}}, "the rates in sampling sum to 1.1; expected 1"),
        ({}, {"sampling": {"a": 0.5, "c": 0.5}}, r"\['c'\] are unknown, \['b'\] have no rate"),
        ({}, {"sampling": Annealed(3)}, "a sampling that changes counts the steps"),
        ({}, {"sampling": Annealed(3), "until": 9}, "a sampling that changes counts the steps"),
        ({}, {"sampling": lambda _: {"a": 2.0, "b": 1.0}, "until": 9, "batch_size": 2}, "sum to 3"),
        ({}, {"until": "end"}, "until is 'end'; expected 'last'"),
        ({}, {"until": 0}, "until is 0"),
        ({}, {"batch_size": 0}, "batch_size must be a whole number >= 1; received 0"),
        ({}, {"batch_size": 9, "drop_remainder": True}, "8 example.* make no batch of 9"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(sets, options, message):
    with pytest.raises(ValueError, match=message):
        mixture(sets_with(**sets), options.pop("tasks", TASKS[:2]), **options)


def test_sets_that_are_none_are_refused():
    with pytest.raises(TypeError, match="datasets must be a dict"):
        mixture([make_set("b", 2)], TASKS[:1])
    with pytest.raises(TypeError, match=r"set 'b': expected a tf\.data\.Dataset"):
        mixture({"b": [1]}, TASKS[:1])
    with pytest.raises(ValueError, match="datasets is empty"):
        mixture({}, TASKS[:1])
    ragged = tf.data.Dataset.from_tensors((tf.ragged.constant([[1]]), {"topic": [1]}))
    with pytest.raises(TypeError, match="set 'b' yields RaggedTensorSpec"):
        mixture({"b": ragged}, TASKS[:1])


def test_batches_are_not_batched_again():
    sets = {name: dataset.batch(2) for name, dataset in sets_with().items()}
    with pytest.raises(ValueError, match="batch_size=2 makes batches of single examples"):
        mixture(sets, TASKS[:2], batch_size=2)


@pytest.mark.parametrize("batch_size", [None, 2])
def test_labels_out_of_range_are_found_while_training_and_named(batch_size):
    wrong = pairs([1, 2, 3], {"topic": [1, 5, 2]})
    mixed = mixture(sets_with(b=wrong), TASKS[:2], batch_size=batch_size)
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        list(mixed)
    message = str(error.value).replace("\\'", "'")
    assert "set 'b', task 'topic': labels must be 0 to 4; received] [5]" in message


def test_labels_of_own_kinds_of_task_are_taken_as_they_are():
    task = Task("rank", head=lambda x: x, loss="mse")
    one, two = pairs([1, 2], {"rank": [-3, 9]}), pairs([3], {"rank": [4]})
    for sets in ({"one": one, "two": two}, {"one": one.batch(1), "two": two.batch(1)}):
        ids = [np.asarray(y["rank"]).tolist() for _, y, _ in mixture(sets, [task])]
        assert len(ids) == 3
    bounded = Task("rank", head=lambda x: x, loss="mse", labels=Labels(high=5))
    with pytest.raises(tf.errors.InvalidArgumentError, match="labels must be -inf to 5"):
        list(mixture({"one": one}, [bounded]))
