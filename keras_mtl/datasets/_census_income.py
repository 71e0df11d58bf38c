"""Census-Income (KDD), the data set with the tasks of the MMoE and PLE papers."""

import os
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from keras_mtl._tasks import Task
from keras_mtl.datasets._batches import read_batches
from keras_mtl.datasets._census_columns import INPUTS, NUMBERS
from keras_mtl.datasets._columns import TableColumns
from keras_mtl.datasets._packed import FILES, Table, unpack, vocabularies

_COLLEGE = (
    "Bachelors degree(BA AB BS)",
    "Masters degree(MA MS MEng MEd MSW MBA)",
    "Prof school degree (MD DDS DVM LLB JD)",
    "Doctorate degree(PhD EdD)",
)
_SMALL = {"train": 20_000, "test": 10_000}

_DESCRIPTION = """\
Weighted census data of the 1994 and 1995 Current Population Surveys of the U.S. Census Bureau:
199,523 persons for training and 99,762 for testing, complete and in the published order.

Tasks: `income` (above 50,000 dollars), `never_married` (marital status is never married) and
`college` (a bachelor's degree or more). The table columns that give the labels away, education
and marital status, are not among the 38 inputs. The weight of the person in the survey (MARSUPWT)
is not an input either, since it says nothing about the person.

Positive labels in train / test: income 12,382 / 6,186, never_married 86,485 / 43,143,
college 29,462 / 14,687.

A missing entry is written `?`.

Data card: the inputs hold the race, the Hispanic origin, the sex, the citizenship and the
countries of birth of real (anonymous) persons, and the labels follow the inequalities of the
United States in 1994. Use it to compare methods. Do not use a model that is trained on it to
decide about people, and look at its errors by group before drawing conclusions.

License: CC BY 4.0.
"""

_CITATION = """\
@misc{census_income_kdd,
  title = {Census-Income (KDD)},
  author = {{U.S. Census Bureau} and Lane, Terran and Kohavi, Ronny},
  year = {2000},
  publisher = {UCI Machine Learning Repository},
  doi = {10.24432/C5N30T},
}
"""


class CensusIncome(tfds.core.GeneratorBasedBuilder):
    """Builds Census-Income (KDD) with `tensorflow-datasets`; needs no internet access.

    The rows ship with this package. The configurations are `full` (199,523 / 99,762 rows) and
    `small` (20,000 / 10,000 rows: about every tenth one, always the same). An example is
    `{"columns": {table column: scalar}, "labels": {task: scalar}}`, with 7 table columns of
    float32 numbers and 31 of strings. Choose `census_income` to train: it wraps this builder.

    Example:
        >>> builder = CensusIncome(config="small", data_dir="/nowhere")
        >>> len(builder.info.features["columns"].shape), builder.info.features["labels"].keys()
        (38, dict_keys(['income', 'never_married', 'college']))
    """

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS: ClassVar[list[tfds.core.BuilderConfig]] = [
        tfds.core.BuilderConfig(name="full", description="All rows."),
        tfds.core.BuilderConfig(
            name="small", description="20,000 / 10,000 rows at even distances."
        ),
    ]

    def _info(self) -> tfds.core.DatasetInfo:
        words = vocabularies(_contents())
        table_columns = TableColumns(
            [name for name in INPUTS if name in NUMBERS],
            {name: words[name] for name in INPUTS if name in words},
        )
        labels = {task.name: np.int64 for task in census_income_tasks()}
        return tfds.core.DatasetInfo(
            builder=self,
            description=_DESCRIPTION,
            features=tfds.features.FeaturesDict({"columns": table_columns, "labels": labels}),
            homepage="https://archive.ics.uci.edu/dataset/117/census+income+kdd",
            citation=_CITATION,
            license="CC BY 4.0",
            disable_shuffling=True,  # Keeps the published order.
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[int, dict[str, Any]]]]:
        tables = unpack(_contents())
        if self.builder_config.name == "small":
            tables = {split: _take_evenly(table, _SMALL[split]) for split, table in tables.items()}
        return {split: self._generate_examples(table) for split, table in tables.items()}

    def _generate_examples(self, table: Table) -> Iterator[tuple[int, dict[str, Any]]]:
        labels = {
            "income": table["income"] == "50000+.",
            "never_married": table["marital_status"] == "Never married",
            "college": np.isin(table["education"].astype(str), _COLLEGE),
        }
        rows = zip(*(table[name].tolist() for name in INPUTS), strict=True)
        answers = zip(*(values.astype(int).tolist() for values in labels.values()), strict=True)
        for index, (row, answer) in enumerate(zip(rows, answers, strict=True)):
            yield (
                index,
                {
                    "columns": dict(zip(INPUTS, row, strict=True)),
                    "labels": dict(zip(labels, answer, strict=True)),
                },
            )


def census_income(
    split: str = "train",
    *,
    config: str = "full",
    data_dir: str | os.PathLike[str] | None = None,
    batch_size: int | None = None,
) -> tf.data.Dataset:
    """Loads Census-Income (KDD) as `(table_columns, labels)`, in the published order.

    Choose it to compare methods on the tasks of the MMoE and PLE papers; do not use a model that
    is trained on it to decide about people. Race and sex are among the inputs: the data card is
    in `CensusIncome().info.description`.

    The first call writes the examples below `data_dir` through the `CensusIncome` builder
    (about half a minute for `full`, a few seconds for `small`); later calls read them.

    Args:
        split: `"train"`, `"test"`, or a part such as `"train[:90%]"`.
        config: `"full"` (199,523 / 99,762 rows) or `"small"` (20,000 / 10,000).
        data_dir: Folder of prepared data sets. Defaults to that of tensorflow-datasets,
            `~/tensorflow_datasets`.
        batch_size: Number of rows per batch; the last batch may be smaller. Defaults to single
            rows. Reading in batches is many times faster than `.batch()` of single rows.

    Returns:
        A `tf.data.Dataset` of known cardinality: a dict of 38 table columns (7 float32, 31
        strings) and a dict of the int64 labels `income`, `never_married` and `college`. All have
        shape `()`, or `(batch,)` with a `batch_size`.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     train = census_income("train", config="small", data_dir=folder, batch_size=100)
        ...     table_columns, labels = next(iter(train))
        Downloading and preparing dataset ...
        Dataset census_income downloaded and prepared to ...
        >>> int(train.cardinality())
        200
        >>> table_columns["age"].shape, table_columns["class_of_worker"].dtype
        (TensorShape([100]), tf.string)
        >>> sorted(labels)
        ['college', 'income', 'never_married']
    """
    builder = CensusIncome(config=config, data_dir=data_dir)
    # No search for a prepared copy in Google Cloud (docs/keras_notes.md, pain 91).
    offline = tfds.download.DownloadConfig(try_download_gcs=False)
    builder.download_and_prepare(download_config=offline)
    if batch_size is None:
        return builder.as_dataset(split).map(_pair)
    return read_batches(builder, split, batch_size).map(_pair)


def _pair(example: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    return example["columns"], example["labels"]


def census_income_tasks() -> list[Task]:
    """Returns the three binary tasks of `census_income`: `income`, `never_married` and `college`.

    Example:
        >>> [task.name for task in census_income_tasks()]
        ['income', 'never_married', 'college']
    """
    return [Task.binary(name) for name in ("income", "never_married", "college")]


def _contents() -> bytes:
    return (FILES / "census_income.bz2").read_bytes()


def _take_evenly(table: Table, size: int) -> Table:
    """Returns `size` rows of a table at even distances."""
    chosen = np.arange(size) * len(table["age"]) // size
    return {name: entries[chosen] for name, entries in table.items()}
