"""ToxCast: molecules and 617 toxicity assays."""

import os

import tensorflow as tf
import tensorflow_datasets as tfds

from keras_mtl._tasks import Task
from keras_mtl.datasets._manual import load
from keras_mtl.datasets._molecules import Molecules


class Toxcast(Molecules, tfds.core.GeneratorBasedBuilder):
    """Builds ToxCast with `tensorflow-datasets`: molecules and 617 assays.

    Example:
        >>> Toxcast(data_dir="/nowhere").info.features["labels"]["toxicity"].shape
        (617,)
    """

    FILES = ("toxcast_data.csv.gz", "toxcast_data.csv")
    ASSAYS, MISSING = 617, 71
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
        toxcast_data.csv.gz is a table with the titles smiles and 617 assays, as published by
        MoleculeNet (https://moleculenet.org/datasets-1)."""


def toxcast(
    split: str = "train",
    *,
    data_dir: str | os.PathLike[str] | None = None,
    manual_dir: str | os.PathLike[str] | None = None,
) -> tf.data.Dataset:
    """Loads ToxCast as `(smiles, {"toxicity": outcomes})`, one example per molecule.

    Choose it for one task of very many columns, of whose labels 71 % are missing;
    `data.mask_missing` masks them.

    Args:
        split: `"train"`, `"validation"`, `"test"`, or a part such as `"train[:90%]"`.
        data_dir: Folder of prepared data sets. Defaults to `~/tensorflow_datasets`.
        manual_dir: Folder that holds `toxcast_data.csv.gz`. Defaults to `downloads/manual` in
            `data_dir`.

    Returns:
        A dataset of known cardinality: strings, and float32 outcomes `(617,)`, NaN if an assay
        was not run.

    Raises:
        FileNotFoundError: If the file is missing; the message names the file and its folder.

    Example:
        If the file is missing, the error names it and its folder:

        >>> import tempfile
        >>> toxcast("test", data_dir=tempfile.mkdtemp(), manual_dir="no/such/folder")
        Traceback (most recent call last):
        FileNotFoundError: toxcast: no/such/folder holds none of [...
    """
    return load(Toxcast(data_dir=data_dir), split, manual_dir)


def toxcast_tasks() -> list[Task]:
    """Returns the task of `toxcast`: `toxicity`, with 617 columns.

    Example:
        >>> toxcast_tasks()[0].head.units
        617
    """
    return [Task.multilabel("toxicity", Toxcast.ASSAYS)]
