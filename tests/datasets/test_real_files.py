"""Builders on the real files, which are in the folder that KERAS_MTL_DATA names."""

import os
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds

from keras_mtl import datasets

FOLDER = Path(os.environ.get("KERAS_MTL_DATA", "/nowhere"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FOLDER.is_dir(), reason="KERAS_MTL_DATA: folder of real data"),
]


@pytest.fixture(autouse=True)
def quiet():
    tfds.disable_progress_bar()


def sizes(load, tmp_path, splits=("train", "validation", "test"), folder=FOLDER):
    return [
        int(load(split, data_dir=tmp_path, manual_dir=folder).cardinality()) for split in splits
    ]


@pytest.mark.parametrize(
    ("name", "splits", "expected"),
    [
        ("snips", ("train", "validation", "test"), [13084, 700, 700]),
        ("ewt_pos_ner", ("train", "validation", "test"), [12529, 1998, 2074]),
        ("tox21", ("train", "validation", "test"), [6411, 801, 802]),
        ("toxcast", ("train", "validation", "test"), [6892, 861, 862]),
        ("bike_sharing", ("train", "test"), [10886, 6493]),
        ("air_quality", ("train", "test"), [7485, 1872]),
    ],
)
def test_all_examples_are_there(name, splits, expected, tmp_path):
    assert sizes(getattr(datasets, name), tmp_path, splits) == expected


@pytest.mark.parametrize(("name", "missing"), [("tox21", 0.17), ("toxcast", 0.71)])
def test_as_many_outcomes_are_missing_as_stated(name, missing, tmp_path):
    train = getattr(datasets, name)("train", data_dir=tmp_path, manual_dir=FOLDER)
    outcomes = np.stack([y["toxicity"] for _, y in train.as_numpy_iterator()])
    assert np.isnan(outcomes).mean() == pytest.approx(missing, abs=0.02)


def test_multi_mnist_has_as_many_pairs_as_images(tmp_path):
    folder = FOLDER / "mnist"
    assert sizes(datasets.multi_mnist, tmp_path, ("train", "test"), folder) == [60000, 10000]


def test_all_domains_have_400_reviews_for_testing(tmp_path):
    sets = datasets.fdu_mtl("test", data_dir=tmp_path, manual_dir=FOLDER)
    assert {int(reviews.cardinality()) for reviews in sets.values()} == {400}
