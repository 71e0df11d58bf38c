import numpy as np
import pytest
import tensorflow_datasets as tfds

from keras_mtl import Task
from keras_mtl.data import from_tfds, mixture


class TinyReviews(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = {
            "text": tfds.features.Text(),
            "title": tfds.features.Text(),
            "label": tfds.features.ClassLabel(names=["bad", "good"]),
            "stars": np.int64,
        }
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(features),
            supervised_keys=("text", "label"),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(6), "test": self._generate_examples(2)}

    def _generate_examples(self, size):
        for k in range(size):
            yield k, {"text": f"text {k}", "title": f"title {k}", "label": k % 2, "stars": k}


class TinyTable(TinyReviews):
    def _info(self):
        features = tfds.features.FeaturesDict({"x": np.float32, "y": np.int64})
        return tfds.core.DatasetInfo(builder=self, features=features, disable_shuffling=True)

    def _generate_examples(self, size):
        for k in range(size):
            yield k, {"x": k / 2, "y": k}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    tfds.disable_progress_bar()
    path = tmp_path_factory.mktemp("tfds")
    TinyReviews(data_dir=path).download_and_prepare()
    TinyTable(data_dir=path).download_and_prepare()
    return path


def rows(dataset):
    return [(x, y) for x, y in dataset.as_numpy_iterator()]


def test_a_set_that_names_its_input_and_label_needs_its_name_alone(folder):
    sets = from_tfds({"sentiment": "tiny_reviews"}, data_dir=folder)
    assert sets["sentiment"].cardinality() == 6
    assert rows(sets["sentiment"])[3] == (b"text 3", {"sentiment": 1})


def test_labels_come_by_key_or_by_function_and_inputs_by_key(folder):
    sets = from_tfds(
        {
            "stars": ("tiny_reviews", "stars"),
            "long": ("tiny_reviews", lambda row: (row["text"] + row["title"], row["stars"] > 2)),
            "both": ("tiny_reviews:1.0.0", lambda row: (row["text"], {"b": row["stars"], "a": 1})),
        },
        inputs="title",
        split={"stars": "train", "long": "test", "both": "train[50%:]"},
        data_dir=folder,
    )
    assert rows(sets["stars"])[4] == (b"title 4", {"stars": 4})
    assert rows(sets["long"])[1] == (b"text 1title 1", {"long": False})
    assert rows(sets["both"])[0] == (b"text 3", {"b": 3, "a": 1})
    assert [int(dataset.cardinality()) for dataset in sets.values()] == [6, 2, 3]


def test_sets_are_ready_to_be_mixed(folder):
    sets = from_tfds(
        {"sentiment": "tiny_reviews", "stars": ("tiny_reviews", "stars")}, data_dir=folder
    )
    tasks = [Task.multiclass("stars", 6), Task.binary("sentiment")]
    (element,) = mixture(sets, tasks, batch_size=12)
    _, y, w = element
    assert np.sum(w["stars"]) == np.sum(w["sentiment"]) == 6
    assert np.sum(y["stars"]) == 15


def test_sets_that_are_not_there_are_prepared(tmp_path):
    sets = from_tfds({"stars": ("tiny_reviews", "stars")}, data_dir=tmp_path)
    assert len(rows(sets["stars"])) == 6


@pytest.mark.parametrize(
    ("sources", "options", "message"),
    [
        ({"t": "tiny_table"}, {}, r"task 't': set 'tiny_table' names no input.*\['x', 'y'\]"),
        ({"t": ("tiny_table", "z")}, {"inputs": "x"}, "'tiny_table' has no feature 'z'"),
        ({"t": "tiny_reviews"}, {"split": "valid"}, "task 't': set 'tiny_reviews', split 'valid'"),
    ],
)
def test_keys_and_splits_that_are_not_there_are_named(sources, options, message, folder):
    with pytest.raises(ValueError, match=message):
        from_tfds(sources, data_dir=folder, **options)
