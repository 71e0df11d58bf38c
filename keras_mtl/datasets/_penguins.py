"""Palmer penguins: a small table with a classification, a regression and missing labels."""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from keras_mtl._tasks import Task
from keras_mtl.datasets._columns import TableColumns
from keras_mtl.datasets._manual import load, number_or_nan, read_csv, read_text
from keras_mtl.datasets._packed import FILES

_SIZES = ("bill_length_mm", "bill_depth_mm", "flipper_length_mm")
_SPECIES = ("Adelie", "Chinstrap", "Gentoo")
_ISLANDS = ("Biscoe", "Dream", "Torgersen")
_SEXES = ("female", "male")

_DESCRIPTION = """\
Measurements of 344 penguins of three species on three islands of the Palmer Archipelago,
2007 to 2009, complete. Every fifth row is for testing (276 / 68 rows), because rows are ordered by
species.

Tasks: `species` (152 Adelie, 68 Chinstrap, 124 Gentoo), `male` (11 missing, -1) and `mass` in
kilograms (2 missing, NaN). Inputs: the island, three lengths in millimeters and the year. Two
birds were not measured: their lengths are the means over the other birds.

License: CC0.
"""

_CITATION = """\
@article{gorman2014penguins,
  title = {Ecological Sexual Dimorphism and Environmental Variability within a Community of
           Antarctic Penguins (Genus Pygoscelis)},
  author = {Gorman, Kristen B. and Williams, Tony D. and Fraser, William R.},
  journal = {PLoS ONE},
  volume = {9},
  number = {3},
  pages = {e90081},
  year = {2014},
}
"""


class PalmerPenguins(tfds.core.GeneratorBasedBuilder):
    """Builds Palmer penguins with `tensorflow-datasets`; the rows ship with this package.

    An example is `{"inputs": {table column: scalar}, "labels": {task: scalar}}`.

    Example:
        >>> sorted(PalmerPenguins(data_dir="/nowhere").info.features["labels"])
        ['male', 'mass', 'species']
    """

    VERSION = tfds.core.Version("1.0.0")

    def _info(self) -> tfds.core.DatasetInfo:
        features = {
            "inputs": TableColumns([*_SIZES, "year"], {"island": _ISLANDS}),
            "labels": {"species": np.int64, "male": np.int64, "mass": np.float32},
        }
        return tfds.core.DatasetInfo(
            builder=self,
            description=_DESCRIPTION,
            features=tfds.features.FeaturesDict(features),
            homepage="https://allisonhorst.github.io/palmerpenguins/",
            citation=_CITATION,
            license="CC0",
            disable_shuffling=True,
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[int, dict[str, Any]]]]:
        path = FILES / "penguins.csv"
        rows = read_csv(read_text(path), (*_SIZES, "species", "island", "sex"), path)
        means = {
            name: float(np.nanmean([number_or_nan(row[name]) for row in rows])) for name in _SIZES
        }
        examples = [self._example(row, means) for row in rows]
        test = examples[4::5]
        train = [example for index, example in enumerate(examples) if index % 5 != 4]
        return {"train": self._generate_examples(train), "test": self._generate_examples(test)}

    def _generate_examples(self, examples: list[Any]) -> Iterator[tuple[int, dict[str, Any]]]:
        return enumerate(examples)

    @staticmethod
    def _example(row: dict[str, str], means: dict[str, float]) -> dict[str, Any]:
        sizes = {name: number_or_nan(row[name]) for name in _SIZES}
        inputs = {name: means[name] if np.isnan(size) else size for name, size in sizes.items()} | {
            "year": float(row["year"]),
            "island": row["island"],
        }
        labels = {
            "species": _SPECIES.index(row["species"]),
            "male": _SEXES.index(row["sex"]) if row["sex"] in _SEXES else -1,
            "mass": number_or_nan(row["body_mass_g"]) / 1000,
        }
        return {"inputs": inputs, "labels": labels}


def penguins(
    split: str = "train", *, data_dir: str | os.PathLike[str] | None = None
) -> tf.data.Dataset:
    """Loads Palmer penguins as `(table_columns, labels)`, one example per bird.

    Choose it for a first try: it is the smallest real data set here that has three kinds of
    tasks and missing labels. `data.mask_missing` masks the missing labels.

    Args:
        split: `"train"`, `"test"`, or a part such as `"train[:90%]"`.
        data_dir: Folder of prepared data sets. Defaults to `~/tensorflow_datasets`.

    Returns:
        A dataset of known cardinality: a dict of five table columns, and a dict of the labels
        `species` and `male` (int64; a missing `male` is -1) and `mass` (float32; a missing one
        is NaN).

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     batches = penguins("train", data_dir=folder).batch(300)
        ...     table_columns, labels = next(iter(batches))
        Downloading and preparing dataset ...
        Dataset palmer_penguins downloaded and prepared to ...
        >>> table_columns["island"].shape, int(np.sum(labels["male"] == -1))
        (TensorShape([276]), 10)
    """
    return load(PalmerPenguins(data_dir=data_dir), split)


def penguins_tasks() -> list[Task]:
    """Returns the tasks of `penguins`: `species`, `male` and `mass`.

    Example:
        >>> [task.name for task in penguins_tasks()]
        ['species', 'male', 'mass']
    """
    return [Task.multiclass("species", 3), Task.binary("male"), Task.regression("mass")]
