"""Every way into a model passes the same checks, which refuse a fault in whatever batch it is."""

import sys
import types

import door_cases as door
import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_mtl as mtl


def spoiled(change, where=range(4)):
    """Returns the batches, of which some have been changed."""
    batches = door.cut((door.X, door.Y))
    return [change(*batch) if k in where else batch for k, batch in enumerate(batches)]


# Each fault changes `(x, y)`; the structure has to be the same in all batches, values need not.
STRUCTURES = {
    "list of labels": (lambda x, y: (x, list(y.values())), "must be a dict.* alphabetical order"),
    "no label of b": (lambda x, y: (x, {"a": y["a"]}), "no label for task 'b'"),
    "extra label": (lambda x, y: (x, {**y, "c": y["a"]}), "label 'c' belongs to no task"),
    "one weight for all": (
        lambda x, y: (x, y, np.ones(4)),
        "weights? must be a dict.* (alike for all tasks)",
    ),
    "weights of a alone": (lambda x, y: (x, y, {"a": np.ones(4)}), "no sample weight for task 'b'"),
    "misspelt weight": (
        lambda x, y: (x, y, {"aa": np.ones(4), "b": np.ones(4)}),
        "no sample weight for task 'a' and sample weight 'aa' belongs to no task",
    ),
    "wide labels": (lambda x, y: (x, {**y, "b": np.ones((4, 3))}), "task 'b': labels have shape"),
    "wide weights": (
        lambda x, y: (x, y, {"a": np.ones((4, 3)), "b": np.ones(4)}),
        "task 'a': sample weights have shape",
    ),
}
VALUES = {
    "classes": (lambda x, y: (x, {**y, "a": 2 * y["a"]}), "task 'a': labels go from 0 to 2"),
    "NaN label": (lambda x, y: (x, {**y, "b": y["b"] * np.nan}), "task 'b': a label is NaN"),
    "infinite label": (lambda x, y: (x, {**y, "b": y["b"] * np.inf}), "task 'b': .* infinite"),
    "NaN input": (lambda x, y: (x * np.nan, y), "inputs hold NaN .* column.s. 0, 1, 2"),
    "infinite input": (lambda x, y: (x * np.inf, y), r"inputs hold NaN .* \(inf"),
}


@pytest.fixture(scope="module")
def model():
    return door.balanced()


EVERYDAY = {"misspelt weight", "NaN label", "NaN input"}
FEW_WAYS = ("PyDataset in threads", "tf.data", "validation_split", "train_on_batch")


@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
@pytest.mark.parametrize(
    "fault",
    [
        fault if fault in EVERYDAY else pytest.param(fault, marks=pytest.mark.slow)
        for fault in (*STRUCTURES, *VALUES)
    ],
)
@pytest.mark.parametrize("way", [*door.FITS, *door.ARRAYS])
def test_a_fault_is_refused_in_every_way(model, way, fault):
    change, message = {**STRUCTURES, **VALUES}[fault]
    enter = {**door.FITS, **door.ARRAYS}[way]
    where = range(4) if fault in STRUCTURES else [2]
    with pytest.raises((TypeError, ValueError), match=message):
        enter(model, spoiled(change, where))


def test_weights_are_finite(model):
    batches = door.cut(
        (door.X, door.Y, {**door.W, "b": door.W["b"] * np.array([1] * 8 + [np.nan] * 8)})
    )
    for way in FEW_WAYS:
        with pytest.raises(ValueError, match="task 'b': a sample weight is NaN"):
            {**door.FITS, **door.ARRAYS}[way](model, batches)


def test_a_label_without_weight_may_be_anything():
    model = door.balanced()
    y = {"a": np.where(door.X[:, 2] > 0, door.Y["a"], 7), "b": door.Y["b"]}
    batches = door.cut((door.X, y, {"a": (door.X[:, 2] > 0).astype("float32"), "b": door.W["b"]}))
    for way in FEW_WAYS:
        {**door.FITS, **door.ARRAYS}[way](model, batches)


@pytest.mark.parametrize(
    "way",
    [
        way if way in FEW_WAYS else pytest.param(way, marks=pytest.mark.slow)
        for way in (*door.FITS, *door.ARRAYS)
    ],
)
def test_data_that_are_right_train_as_in_plain_keras(way):
    batches = door.cut((door.X, door.Y, door.W))
    weights = []
    for make in (door.balanced, door.plain):
        model = make()
        keras.utils.set_random_seed(1)
        {**door.FITS, **door.ARRAYS}[way](model, batches)
        weights.append(getattr(model, "network", model).get_weights())
    for ours, theirs in zip(*weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)


@pytest.mark.parametrize("way", ["generator", "tf.data", "evaluate PyDataset", "evaluate tf.data"])
def test_the_batch_is_named(model, way):
    for fault, message in (("classes", r"Seen in batch 2"), ("NaN input", "row 0 of batch 2")):
        with pytest.raises(ValueError, match=message):
            door.FITS[way](model, spoiled(VALUES[fault][0], [2, 3]))


def test_processes_are_checked_too(model):
    batches = spoiled(VALUES["classes"][0], [2])
    data = door.Batches(batches, workers=1, use_multiprocessing=True)
    with pytest.raises(ValueError, match=r"^task 'a': labels go from 0 to 2"):
        model.fit(data, verbose=0)


def test_a_pydataset_keeps_its_length_order_and_ends_of_epochs():
    data = door.Batches(door.cut((door.X, door.Y)))
    model, seen = door.balanced(), []
    watch = keras.callbacks.LambdaCallback(on_train_batch_end=lambda k, logs: seen.append(k))
    model.fit(data, epochs=3, verbose=0, callbacks=[watch])
    plain = door.Batches(door.cut((door.X, door.Y)))
    door.plain().fit(plain, epochs=3, verbose=0)
    assert seen == [0, 1, 2, 3] * 3
    assert (len(data.begun), len(data.ended)) == (len(plain.begun), len(plain.ended))


def test_weights_may_be_none_where_keras_reads_it(model):
    batches = [(*batch, None) for batch in door.cut((door.X, door.Y))]
    model.fit(door.generator(batches), verbose=0, **door.STEPS)
    broken = [(*batch, None) for batch in spoiled(VALUES["classes"][0], [3])]
    with pytest.raises(ValueError, match="task 'a': labels go from 0 to 2"):
        model.fit(door.generator(broken), verbose=0, **door.STEPS)
    with pytest.raises(tf.errors.OpError, match="expected structure"):
        door.plain().fit(door.Batches(batches), verbose=0)
    with pytest.raises(ValueError, match=r"Batches yields None.*leave it out"):
        model.fit(door.Batches(batches), verbose=0)


def test_errors_of_the_data_themselves_stay_as_they_are(model):
    class Failing(door.Batches):
        def __getitem__(self, index):
            if index == 2:
                raise OSError("no such file")
            return super().__getitem__(index)

    with pytest.raises(tf.errors.OpError, match="no such file"):
        model.fit(Failing(door.cut((door.X, door.Y))), verbose=0)


def test_a_generator_that_ends_too_early_is_no_step(model):
    batches = iter(door.cut((door.X, door.Y)))
    with pytest.raises(ValueError, match="the data ended before the last step"):
        model.fit((batch for batch in batches), steps_per_epoch=5, verbose=0)


@pytest.mark.parametrize("data", [door.generator, door.Batches])
def test_a_stream_without_an_end_needs_steps(model, data):
    batches = door.cut((door.X, door.Y))
    endless = data(batches)
    if isinstance(endless, door.Batches):
        type(endless).num_batches = None
    try:
        with pytest.raises(ValueError, match=r"number of batches .* is unknown.*steps_per_epoch"):
            model.fit(endless, verbose=0)
        with pytest.raises(ValueError, match="validation_steps"):
            model.fit(door.X, door.Y, validation_data=data(batches), verbose=0)
    finally:
        if isinstance(endless, door.Batches):
            del type(endless).num_batches


def test_labels_beside_a_stream_are_refused(model):
    batches = door.cut((door.X, door.Y))
    with pytest.raises(ValueError, match=r"Batches yields .* itself; leave out y"):
        model.fit(door.Batches(batches), door.Y, verbose=0)
    with pytest.raises(ValueError, match="leave out sample_weight"):
        model.evaluate(door.as_dataset(batches), sample_weight=door.W, verbose=0)


@pytest.mark.slow
def test_validation_data_of_unknown_size_need_steps_and_have_so_many():
    data = door.as_dataset(door.cut((door.X, door.Y)))
    unknown = data.filter(lambda *_: True)
    model = door.balanced()
    with pytest.raises(ValueError, match=r"number of batches is unknown.*validation_steps"):
        model.fit(door.X, door.Y, validation_data=unknown, verbose=0)
    options = {"epochs": 2, "batch_size": 4, "shuffle": False, "verbose": 0}
    logs = [
        door.balanced().fit(
            door.X, door.Y, validation_data=validation, validation_steps=steps, **options
        )
        for validation, steps in ((unknown, 3), (data, 3), (unknown.repeat(), 3))
    ]
    assert logs[0].history == logs[1].history == logs[2].history
    with pytest.raises(tf.errors.OpError, match="expected to contain 5"):
        model.fit(door.X, door.Y, validation_data=unknown, validation_steps=5, verbose=0)
    with pytest.raises(ValueError, match="infinite; pass validation_steps"):
        model.fit(door.X, door.Y, validation_data=data.repeat(), verbose=0)


def test_labels_are_needed_where_a_loss_is():
    model = door.balanced()
    for enter in (model.fit, model.evaluate, model.train_on_batch, model.test_on_batch):
        with pytest.raises(ValueError, match=r"y must be a dictionary .*\['a', 'b'\].*NoneType"):
            enter(door.X)


def test_class_weights_are_refused_by_train_on_batch(model):
    with pytest.raises(ValueError, match=r"class_weights\(dataset, tasks"):
        model.train_on_batch(door.X, door.Y, class_weight={0: 2.0})


class Tensor:
    """Stands for a tensor of torch."""

    def __init__(self, array):
        self.array = array
        self.shape, self.dtype = array.shape, array.dtype

    def cpu(self):
        return self.array


def test_a_loader_of_torch_passes_the_same_door(model, monkeypatch):
    class DataLoader:
        __module__ = "torch.utils.data.dataloader"
        batch_size = 4

        def __init__(self, batches):
            self.dataset = self.batches = batches

        def __len__(self):
            return len(self.batches)

        def __iter__(self):
            return iter([list(keras.tree.map_structure(Tensor, batch)) for batch in self.batches])

    torch = types.ModuleType("torch")
    torch.utils = types.SimpleNamespace(data=types.SimpleNamespace(DataLoader=DataLoader))
    monkeypatch.setitem(sys.modules, "torch", torch)
    model.fit(DataLoader(door.cut((door.X, door.Y))), verbose=0)
    with pytest.raises(ValueError, match="task 'a': labels go from 0 to 2"):
        model.fit(DataLoader(spoiled(VALUES["classes"][0], [3])), verbose=0)


def test_a_compiled_graph_passes_the_same_door():
    model = mtl.BalancedModel(door.dense(), door.tasks(), mtl.balancers.Equal())
    model.compile("sgd")
    for fault in ("classes", "NaN label", "NaN input"):
        change, message = VALUES[fault]
        for way in ("PyDataset", "tf.data"):
            with pytest.raises(ValueError, match=message):
                door.FITS[way](model, spoiled(change, [3]))
