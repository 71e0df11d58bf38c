"""Census-Income (KDD), the task set of the MMoE and PLE papers."""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from keras_mtl._tasks import Task
from keras_mtl.datasets._batches import read_batches
from keras_mtl.datasets._census_columns import INPUTS, NUMBERS
from keras_mtl.datasets._columns import Columns
from keras_mtl.datasets._packed import FILES, Table, unpack, vocabularies

_COLLEGE = (
    "Bachelors degree(BA AB BS)",
    "Masters degree(MA MS MEng MEd MSW MBA)",
    "Prof school degree (MD DDS DVM LLB JD)",
    "Doctorate degree(PhD EdD)",
)
_SMALL = {"train": 20_000, "test": 10_000}
_BATCH = 1024

_DESCRIPTION = """\
Weighted census data of the 1994 and 1995 Current Population Surveys of the U.S. Census Bureau:
199,523 persons for training and 99,762 for testing, complete and in the published order.

Tasks: `income` (above 50,000 dollars), `never_married` (marital status is never married) and
`college` (a bachelor's degree or more). The columns that tell them, education and marital
status, are not among the 38 inputs; nor is the weight of the person in the survey
(MARSUPWT), which says nothing of the person.

Positive labels in train / test: income 12,382 / 6,186, never_married 86,485 / 43,143,
college 29,462 / 14,687.

Missing entries are written `?`.

Data card: the inputs hold the race, the Hispanic origin, the sex, the citizenship and the
countries of birth of real (anonymous) persons, and the labels follow the inequalities of the
United States in 1994. Use it to compare methods. Do not use a model of it to decide about
people, and look at its errors by group before drawing conclusions.

Licence: CC BY 4.0.
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
    """Census-Income (KDD) as a `tensorflow-datasets` builder; needs no network.

    The rows ship with this package. The configurations are `full` (199,523 / 99,762 rows) and
    `small` (20,000 / 10,000: every tenth row or so, always the same). An example is
    `{"columns": {name: scalar}, "labels": {task: scalar}}`, with 7 columns of float32 numbers
    and 31 of strings. `census_income` wraps this for training.

    Example:
        >>> builder = CensusIncome(config="small", data_dir="/nowhere")
        >>> len(builder.info.features["columns"].shape), builder.info.features["labels"].keys()
        (38, dict_keys(['income', 'never_married', 'college']))
    """

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [  # noqa: RUF012  # tfds reads it so
        tfds.core.BuilderConfig(name="full", description="All rows."),
        tfds.core.BuilderConfig(name="small", description="20,000 / 10,000 rows, evenly drawn."),
    ]

    def _info(self) -> tfds.core.DatasetInfo:
        words = vocabularies(_contents())
        columns = Columns(
            [name for name in INPUTS if name in NUMBERS],
            {name: words[name] for name in INPUTS if name in words},
        )
        labels = {task.name: np.int64 for task in census_income_tasks()}
        return tfds.core.DatasetInfo(
            builder=self,
            description=_DESCRIPTION,
            features=tfds.features.FeaturesDict({"columns": columns, "labels": labels}),
            homepage="https://archive.ics.uci.edu/dataset/117/census+income+kdd",
            citation=_CITATION,
            license="CC BY 4.0",
            disable_shuffling=True,  # keeps the published order
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[int, dict[str, Any]]]]:
        tables = unpack(_contents())
        if self.builder_config.name == "small":
            tables = {split: _draw(table, _SMALL[split]) for split, table in tables.items()}
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
    """Loads Census-Income (KDD) as `(columns, labels)`, in the published order.

    The first call writes the examples below `data_dir` through the `CensusIncome` builder
    (about half a minute for `full`, a few seconds for `small`), later calls read them. The
    data card stands in `CensusIncome().info.description`; mind that race and sex are inputs.

    Args:
        split: `"train"`, `"test"`, or a part such as `"train[:90%]"`.
        config: `"full"` (199,523 / 99,762 rows) or `"small"` (20,000 / 10,000).
        data_dir: Folder of prepared data sets. Defaults to that of tensorflow-datasets,
            `~/tensorflow_datasets`.
        batch_size: Rows a batch, the last one being shorter. Defaults to single rows. Reading
            in batches is many times faster than `.batch()` of single rows.

    Returns:
        A `tf.data.Dataset` of known cardinality: a dict of 38 columns (7 float32, 31 strings)
        and a dict of the int64 labels `income`, `never_married` and `college`, each of shape
        `()`, or `(batch,)` with a `batch_size`.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     train = census_income("train", config="small", data_dir=folder, batch_size=100)
        ...     columns, labels = next(iter(train))
        Downloading and preparing dataset ...
        Dataset census_income downloaded and prepared to ...
        >>> int(train.cardinality())
        200
        >>> columns["age"].shape, columns["class_of_worker"].dtype, sorted(labels)
        (TensorShape([100]), tf.string, ['college', 'income', 'never_married'])
    """
    builder = CensusIncome(config=config, data_dir=data_dir)
    offline = tfds.download.DownloadConfig(try_download_gcs=False)
    builder.download_and_prepare(download_config=offline)
    if batch_size is None:
        return builder.as_dataset(split).map(_pair)
    return read_batches(builder, split, batch_size).map(_pair)


def _pair(example: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    return example["columns"], example["labels"]


def census_income_tasks() -> list[Task]:
    """The three binary tasks of `census_income`: `income`, `never_married` and `college`.

    Example:
        >>> [task.name for task in census_income_tasks()]
        ['income', 'never_married', 'college']
    """
    return [Task.binary(name) for name in ("income", "never_married", "college")]


def _contents() -> bytes:
    return (FILES / "census_income.bz2").read_bytes()


def _draw(table: Table, size: int) -> Table:
    """`size` rows at even distances."""
    chosen = np.arange(size) * len(table["age"]) // size
    return {name: entries[chosen] for name, entries in table.items()}
