"""Tox21: molecules and 12 toxicity assays."""

import os

import tensorflow as tf
import tensorflow_datasets as tfds

from keras_mtl._tasks import Task
from keras_mtl.datasets._manual import load
from keras_mtl.datasets._molecules import Molecules

TOX21_ASSAYS = (
    "NR-AR",
    "NR-AR-LBD",
    "NR-AhR",
    "NR-Aromatase",
    "NR-ER",
    "NR-ER-LBD",
    "NR-PPAR-gamma",
    "SR-ARE",
    "SR-ATAD5",
    "SR-HSE",
    "SR-MMP",
    "SR-p53",
)


class Tox21(Molecules, tfds.core.GeneratorBasedBuilder):
    """Builds Tox21 with `tensorflow-datasets`: molecules and 12 assays.

    Example:
        >>> Tox21(data_dir="/nowhere").info.features["labels"]["toxicity"].shape
        (12,)
    """

    FILES = ("tox21.csv.gz", "tox21.csv")
    ASSAYS, MISSING = 12, 15
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
        tox21.csv.gz is a table with the titles smiles and 12 assays; MoleculeNet offers it at
        https://deepchemdata.s3-us-west-1.amazonaws.com/datasets/tox21.csv.gz."""


def tox21(
    split: str = "train",
    *,
    data_dir: str | os.PathLike[str] | None = None,
    manual_dir: str | os.PathLike[str] | None = None,
) -> tf.data.Dataset:
    """Loads Tox21 as `(smiles, {"toxicity": outcomes})`, one example per molecule.

    Choose it for one task of several columns, of whose labels some are missing;
    `data.mask_missing` masks them.

    Args:
        split: `"train"`, `"validation"`, `"test"`, or a part such as `"train[:90%]"`.
        data_dir: Folder of prepared data sets. Defaults to `~/tensorflow_datasets`.
        manual_dir: Folder that holds `tox21.csv.gz`. Defaults to `downloads/manual` in
            `data_dir`.

    Returns:
        A dataset of known cardinality: strings, and float32 outcomes `(12,)`, NaN if an assay was
        not run.

    Raises:
        FileNotFoundError: If the file is missing; the message names the file and its folder.

    Example:
        If the file is missing, the error names it and its folder:

        >>> import tempfile
        >>> tox21("test", data_dir=tempfile.mkdtemp(), manual_dir="no/such/folder")
        Traceback (most recent call last):
        FileNotFoundError: tox21: no/such/folder holds none of [...
    """
    return load(Tox21(data_dir=data_dir), split, manual_dir)


def tox21_tasks() -> list[Task]:
    """Returns the task of `tox21`: `toxicity`, with 12 columns named after the assays.

    Example:
        >>> tox21_tasks()[0].columns[2]
        'NR-AhR'
    """
    return [Task.multilabel("toxicity", columns=TOX21_ASSAYS)]
