"""Molecules as SMILES strings, with assays of which many were not run."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from keras_mtl.datasets._manual import (
    find_file,
    number_or_nan,
    random_splits,
    read_csv,
    read_text,
)

_DESCRIPTION = """\
Molecules as SMILES strings and the outcomes of {assays} toxicity assays: 0, 1, or NaN if an assay
was not run ({missing} % of the outcomes). The splits are random, 80 / 10 / 10 %, with seed 0.

One task `{task}` of {assays} columns. A random split is easier than a split by scaffold: compare
only figures of the same split.

License: public domain (U.S. Government work).
"""

_CITATION = """\
@article{wu2018moleculenet,
  title = {MoleculeNet: A Benchmark for Molecular Machine Learning},
  author = {Wu, Zhenqin and Ramsundar, Bharath and Feinberg, Evan N. and Gomes, Joseph and
            Geniesse, Caleb and Pappu, Aneesh S. and Leswing, Karl and Pande, Vijay},
  journal = {Chemical Science},
  volume = {9},
  pages = {513--530},
  year = {2018},
}
"""


class Molecules:
    """Holds the code that the builders of Tox21 and ToxCast share.

    A subclass sets `FILES`, the names of its file; `ASSAYS`, their number; and `MISSING`, the
    percentage of missing outcomes.
    """

    VERSION = tfds.core.Version("1.0.0")
    FILES: tuple[str, ...]
    ASSAYS: int
    MISSING: int

    def _info(self) -> tfds.core.DatasetInfo:
        outcomes = tfds.features.Tensor(shape=(self.ASSAYS,), dtype=np.float32)
        features = {"inputs": tfds.features.Text(), "labels": {"toxicity": outcomes}}
        return tfds.core.DatasetInfo(
            builder=self,
            description=_DESCRIPTION.format(
                assays=self.ASSAYS, missing=self.MISSING, task="toxicity"
            ),
            features=tfds.features.FeaturesDict(features),
            homepage="https://moleculenet.org/datasets-1",
            citation=_CITATION,
            license="Public domain",
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[int, dict[str, Any]]]]:
        path = find_file(self, dl_manager, self.FILES)
        rows = read_csv(read_text(path), ["smiles"], path)
        names = [name for name in rows[0] if name not in ("smiles", "mol_id")]
        if len(names) != self.ASSAYS:
            raise ValueError(f"{path} has {len(names)} assays; expected {self.ASSAYS}.")
        splits = random_splits(len(rows))
        return {
            split: self._generate_examples([rows[index] for index in indices], names)
            for split, indices in splits.items()
        }

    def _generate_examples(
        self, rows: list[dict[str, str]], names: list[str]
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        for key, row in enumerate(rows):
            outcomes = np.array([number_or_nan(row[name]) for name in names], np.float32)
            yield key, {"inputs": row["smiles"], "labels": {"toxicity": outcomes}}
