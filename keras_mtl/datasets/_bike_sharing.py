"""Bike sharing: hourly counts of two kinds of rider."""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from keras_mtl._tasks import Task
from keras_mtl.datasets._columns import Columns
from keras_mtl.datasets._manual import find_file, load, read_csv, read_text

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
_FROM_ZERO = {"yr", "hr", "holiday", "weekday", "workingday"}

_DESCRIPTION = """\
Bikes rented in Washington, D.C., in each hour of 2011 and 2012, with weather and season: 17,379
rows. The first 19 days of each month are for training, the others for testing.

Tasks: counts of `casual` and `registered` riders. Calendar and weather classes are strings.

Licence: CC BY 4.0.
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
    """Bike sharing as a `tensorflow-datasets` builder.

    An example is `{"inputs": {column: scalar}, "labels": {task: scalar}}`.

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
            "inputs": Columns(_NUMBERS, words),
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
        early = [int(row["dteday"][-2:]) <= 19 for row in rows]
        train = [row for row, first in zip(rows, early, strict=True) if first]
        test = [row for row, first in zip(rows, early, strict=True) if not first]
        return {"train": self._generate_examples(train), "test": self._generate_examples(test)}

    def _generate_examples(
        self, rows: list[dict[str, str]]
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        for key, row in enumerate(rows):
            inputs: dict[str, Any] = {name: float(row[name]) for name in _NUMBERS}
            inputs |= {name: row[name].strip() for name in _CODES}  # copies of the file pad them
            labels = {name: float(row[name]) for name in ("casual", "registered")}
            yield key, {"inputs": inputs, "labels": labels}


def bike_sharing(
    split: str = "train",
    *,
    data_dir: str | os.PathLike[str] | None = None,
    manual_dir: str | os.PathLike[str] | None = None,
) -> tf.data.Dataset:
    """Loads bike sharing as `(columns, labels)`, single hours in order of time.

    Args:
        split: `"train"`, `"test"`, or a part such as `"train[:90%]"`.
        data_dir: Folder of prepared data sets. Defaults to `~/tensorflow_datasets`.
        manual_dir: Folder that holds `hour.csv`. Defaults to `downloads/manual` in `data_dir`.

    Returns:
        A dataset of known cardinality: a dict of 4 float32 and 8 string columns, and one of the
        float32 counts `casual` and `registered`.

    Raises:
        FileNotFoundError: If the file is not there; says what to put where.

    Example:
        Without the file it says what to put where:

        >>> import tempfile
        >>> bike_sharing("test", data_dir=tempfile.mkdtemp(), manual_dir="no/such/folder")
        Traceback (most recent call last):
        FileNotFoundError: bike_sharing: no/such/folder holds none of [...
    """
    return load(BikeSharing(data_dir=data_dir), split, manual_dir)


def bike_sharing_tasks() -> list[Task]:
    """The tasks of `bike_sharing`: counts of `casual` and `registered` riders.

    Example:
        >>> [task.name for task in bike_sharing_tasks()]
        ['casual', 'registered']
    """
    return [Task.count("casual"), Task.count("registered")]
