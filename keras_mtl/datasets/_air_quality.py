"""The air quality data set: pollutants from cheap sensors, up to 90 % of the labels missing."""

import csv
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tensorflow_datasets as tfds

from keras_mtl._tasks import Task
from keras_mtl.datasets._manual import find_file, load, read_text

POLLUTANTS = ("co", "nmhc", "c6h6", "nox", "no2")
# Positions in the published table, whose first two table columns are date and time.
_LABELS = (2, 4, 5, 7, 9)
_INPUTS = (3, 6, 8, 10, 11, 12, 13, 14)

_DESCRIPTION = """\
Hourly readings of five metal oxide sensors, temperature and humidity in an Italian city, from March
2004 to April 2005: 9,357 rows in order of time. The first 80 % are for training.

Tasks: the true concentrations of five pollutants, `co` (mg/m3), `nmhc`, `c6h6`, `nox` and `no2`;
4 % to 90 % of them are missing. A missing value is NaN here and -200 in the table. Inputs `(8,)`:
the sensors for CO, NMHC, NOx, NO2 and O3, temperature, relative and absolute humidity. A missing
input is replaced by the input of the hour before.

License: CC BY 4.0.
"""

_CITATION = """\
@misc{air_quality,
  title = {Air Quality},
  author = {Vito, Saverio},
  year = {2008},
  publisher = {UCI Machine Learning Repository},
  doi = {10.24432/C59K5F},
}
"""


class AirQuality(tfds.core.GeneratorBasedBuilder):
    """Builds the air quality data set with `tensorflow-datasets`.

    An example is `{"inputs": (8,), "labels": {task: scalar}}`.

    Example:
        >>> AirQuality(data_dir="/nowhere").info.features["inputs"].shape
        (8,)
    """

    VERSION = tfds.core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
        AirQualityUCI.csv (or air_quality.csv.gz, separated by commas) is in the archive that the
        UCI Machine Learning Repository offers at
        https://archive.ics.uci.edu/dataset/360/air+quality."""

    def _info(self) -> tfds.core.DatasetInfo:
        features = {
            "inputs": tfds.features.Tensor(shape=(len(_INPUTS),), dtype=np.float32),
            "labels": dict.fromkeys(POLLUTANTS, np.float32),
        }
        return tfds.core.DatasetInfo(
            builder=self,
            description=_DESCRIPTION,
            features=tfds.features.FeaturesDict(features),
            homepage="https://archive.ics.uci.edu/dataset/360/air+quality",
            citation=_CITATION,
            license="CC BY 4.0",
            disable_shuffling=True,
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[int, dict[str, Any]]]]:
        path = find_file(self, dl_manager, ["AirQualityUCI.csv", "air_quality.csv.gz"])
        table = read_table(read_text(path))
        num_train = len(table) * 8 // 10
        return {
            "train": self._generate_examples(table[:num_train]),
            "test": self._generate_examples(table[num_train:]),
        }

    def _generate_examples(
        self, table: npt.NDArray[np.float32]
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        for key, row in enumerate(table):
            labels = dict(zip(POLLUTANTS, row[list(_LABELS)], strict=True))
            yield key, {"inputs": row[list(_INPUTS)], "labels": labels}


def read_table(text: str) -> npt.NDArray[np.float32]:
    """Reads the numbers of the table as `(rows, 15)`, with NaN for a missing label.

    The publisher separates entries by semicolons and writes decimal commas; copies of the file
    are separated by commas. A missing input is replaced by the last one above it.

    Example:
        >>> row = "10/03/2004;18.00.00;2,5;1360;-200;11,9;9;9;9;9;9;9;13,6;48,9;0,7578;;"
        >>> [float(number) for number in read_table("titles\\n" + row)[0][2:5]]
        [2.5, 1360.0, nan]
    """
    separator = ";" if ";" in text.partition("\n")[2] else ","
    rows = [row[:15] for row in csv.reader(text.splitlines()[1:], delimiter=separator)]
    table = np.full((len(rows), 15), np.nan, np.float32)
    for position, row in enumerate(rows):
        if len(row) == 15 and row[0]:
            table[position, 2:] = [float(entry.replace(",", ".")) for entry in row[2:]]
    table = table[~np.isnan(table[:, 2])]  # The published file ends with lines of separators.
    table[table == -200] = np.nan
    for position in _INPUTS:
        values = table[:, position]
        # The index of the last row, up to each row, whose value is not missing.
        last = np.maximum.accumulate(np.where(np.isnan(values), 0, np.arange(len(table))))
        table[:, position] = np.nan_to_num(values[last])
    return table


def air_quality(
    split: str = "train",
    *,
    data_dir: str | os.PathLike[str] | None = None,
    manual_dir: str | os.PathLike[str] | None = None,
) -> tf.data.Dataset:
    """Loads air quality as `(sensors, labels)`, one example per hour, in order of time.

    Choose it to compare methods on regression tasks of which many labels are missing;
    `data.mask_missing` masks them.

    Args:
        split: `"train"`, `"test"`, or a part such as `"train[:90%]"`.
        data_dir: Folder of prepared data sets. Defaults to `~/tensorflow_datasets`.
        manual_dir: Folder that holds `AirQualityUCI.csv`. Defaults to `downloads/manual` in
            `data_dir`.

    Returns:
        A dataset of known cardinality: float32 sensors `(8,)`, and a dict of five float32
        concentrations, NaN for a missing one.

    Raises:
        FileNotFoundError: If the file is missing; the message names the file and its folder.

    Example:
        If the file is missing, the error names it and its folder:

        >>> import tempfile
        >>> air_quality("test", data_dir=tempfile.mkdtemp(), manual_dir="no/such/folder")
        Traceback (most recent call last):
        FileNotFoundError: air_quality: no/such/folder holds none of [...
    """
    return load(AirQuality(data_dir=data_dir), split, manual_dir)


def air_quality_tasks() -> list[Task]:
    """Returns the five regression tasks of `air_quality`.

    Example:
        >>> [task.name for task in air_quality_tasks()]
        ['co', 'nmhc', 'c6h6', 'nox', 'no2']
    """
    return [Task.regression(name) for name in POLLUTANTS]
