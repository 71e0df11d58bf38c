"""The bike sharing data set: hourly counts of two kinds of riders."""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from keras_mtl._tasks import Task
from keras_mtl.datasets._columns import TableColumns
from keras_mtl.datasets._manual import find_file, load, read_csv, read_text

# The number of classes of each table column that is read as strings.
_CODES = {
    "season": 4,
    "yr": 2,
    "mnth": 12,
    "hr": 24,
    "holiday": 2,
    "weekday": 7,
    "workingday": 2,
    "weathersit": 4,
}
_NUMBERS = ("temp", "atemp", "hum", "windspeed")
# Their classes are counted from 0; those of the other table columns from 1.
_FROM_ZERO = {"yr", "hr", "holiday", "weekday", "workingday"}

_DESCRIPTION = """\
Bikes rented in Washington, D.C., in each hour of 2011 and 2012, with weather and season: 17,379
rows. The first 19 days of each month are for training, the other days for testing.

Tasks: counts of `casual` and `registered` riders. Calendar and weather classes are strings.

License: CC BY 4.0.
"""

_CITATION = """\
@misc{bike_sharing,
  title = {Bike Sharing},
  author = {Fanaee-T, Hadi},
  year = {2013},
  publisher = {UCI Machine Learning Repository},
  doi = {10.24432/C5W894},
}
"""


class BikeSharing(tfds.core.GeneratorBasedBuilder):
    """Builds the bike sharing data set with `tensorflow-datasets`.

    An example is `{"inputs": {table column: scalar}, "labels": {task: scalar}}`.

    Example:
        >>> len(BikeSharing(data_dir="/nowhere").info.features["inputs"].shape)
        12
    """

    VERSION = tfds.core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
        hour.csv (or bike_sharing_hour.csv.gz of it) is in the archive that the UCI Machine
        Learning Repository offers at https://archive.ics.uci.edu/dataset/275/bike+sharing+dataset."""

    def _info(self) -> tfds.core.DatasetInfo:
        words = {
            name: [str(code + (name not in _FROM_ZERO)) for code in range(size)]
            for name, size in _CODES.items()
        }
        features = {
            "inputs": TableColumns(_NUMBERS, words),
            "labels": {"casual": np.float32, "registered": np.float32},
        }
        return tfds.core.DatasetInfo(
            builder=self,
            description=_DESCRIPTION,
            features=tfds.features.FeaturesDict(features),
            homepage="https://archive.ics.uci.edu/dataset/275/bike+sharing+dataset",
            citation=_CITATION,
            license="CC BY 4.0",
            disable_shuffling=True,
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[int, dict[str, Any]]]]:
        path = find_file(self, dl_manager, ["hour.csv", "bike_sharing_hour.csv.gz"])
        rows = read_csv(read_text(path), ("dteday", *_CODES, *_NUMBERS, "casual"), path)
        for_training = [int(row["dteday"][-2:]) <= 19 for row in rows]
        train = [row for row, chosen in zip(rows, for_training, strict=True) if chosen]
        test = [row for row, chosen in zip(rows, for_training, strict=True) if not chosen]
        return {"train": self._generate_examples(train), "test": self._generate_examples(test)}

    def _generate_examples(
        self, rows: list[dict[str, str]]
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        for key, row in enumerate(rows):
            inputs: dict[str, Any] = {name: float(row[name]) for name in _NUMBERS}
            # Some copies of the file pad these entries with blanks.
            inputs |= {name: row[name].strip() for name in _CODES}
            labels = {name: float(row[name]) for name in ("casual", "registered")}
            yield key, {"inputs": inputs, "labels": labels}


def bike_sharing(
    split: str = "train",
    *,
    data_dir: str | os.PathLike[str] | None = None,
    manual_dir: str | os.PathLike[str] | None = None,
) -> tf.data.Dataset:
    """Loads bike sharing as `(table_columns, labels)`, one example per hour, in order of time.

    Choose it to try two tasks of counts on numbers and classes of one table.

    Args:
        split: `"train"`, `"test"`, or a part such as `"train[:90%]"`.
        data_dir: Folder of prepared data sets. Defaults to `~/tensorflow_datasets`.
        manual_dir: Folder that holds `hour.csv`. Defaults to `downloads/manual` in `data_dir`.

    Returns:
        A dataset of known cardinality: a dict of 4 float32 and 8 string table columns, and a
        dict of the float32 counts `casual` and `registered`.

    Raises:
        FileNotFoundError: If the file is missing; the message names the file and its folder.

    Example:
        If the file is missing, the error names it and its folder:

        >>> import tempfile
        >>> bike_sharing("test", data_dir=tempfile.mkdtemp(), manual_dir="no/such/folder")
        Traceback (most recent call last):
        FileNotFoundError: bike_sharing: no/such/folder holds none of [...
    """
    return load(BikeSharing(data_dir=data_dir), split, manual_dir)


def bike_sharing_tasks() -> list[Task]:
    """Returns the tasks of `bike_sharing`: counts of `casual` and `registered` riders.

    Example:
        >>> [task.name for task in bike_sharing_tasks()]
        ['casual', 'registered']
    """
    return [Task.count("casual"), Task.count("registered")]
