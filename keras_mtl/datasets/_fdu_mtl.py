"""FDU-MTL: reviews of 16 domains, with one sentiment task and separate inputs per domain."""

import os
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from keras_mtl._tasks import Task
from keras_mtl.datasets._manual import find_file, load, read_members

DOMAINS = (
    "apparel",
    "baby",
    "books",
    "camera_photo",
    "dvd",
    "electronics",
    "health_personal_care",
    "imdb",
    "kitchen_housewares",
    "magazines",
    "MR",
    "music",
    "software",
    "sports_outdoors",
    "toys_games",
    "video",
)

_DESCRIPTION = """\
Reviews in 16 domains, with 1,400 to 1,600 reviews for training and 400 for testing per domain.
The texts are tokenized, and the tokens are separated by blanks.

One task per domain, named after it: whether the review is positive. No review has the label of
another domain: mix the domains with `data.mixture`.

License: for research.
"""

_CITATION = """\
@inproceedings{liu2017adversarial,
  title = {Adversarial Multi-task Learning for Text Classification},
  author = {Liu, Pengfei and Qiu, Xipeng and Huang, Xuanjing},
  booktitle = {ACL},
  year = {2017},
}
"""


class FduMtl(tfds.core.GeneratorBasedBuilder):
    """Builds FDU-MTL with `tensorflow-datasets`; each domain is a configuration.

    Example:
        >>> list(FduMtl(config="books", data_dir="/nowhere").info.features["labels"])
        ['books']
    """

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS: ClassVar[list[tfds.core.BuilderConfig]] = [
        tfds.core.BuilderConfig(name=name, description=f"Reviews: {name}.") for name in DOMAINS
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
        FDU-MTL is a folder fdu_mtl (or fdu_mtl.tar.xz of that folder) with the files
        DOMAIN.task.train and DOMAIN.task.test. Each review is a line with 0 or 1, a tab and the
        text."""

    def _info(self) -> tfds.core.DatasetInfo:
        labels = {self.builder_config.name: np.int64}
        text = tfds.features.Text()
        return tfds.core.DatasetInfo(
            builder=self,
            description=_DESCRIPTION,
            features=tfds.features.FeaturesDict({"inputs": text, "labels": labels}),
            homepage="https://aclanthology.org/P17-1001/",
            citation=_CITATION,
            license="For research",
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[int, dict[str, Any]]]]:
        names = {split: f"{self.builder_config.name}.task.{split}" for split in ("train", "test")}
        path = find_file(self, dl_manager, ["fdu_mtl", "fdu_mtl.tar.xz"], names["train"])
        texts = read_members(path, list(names.values()))
        return {split: self._generate_examples(texts[name]) for split, name in names.items()}

    def _generate_examples(self, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
        for key, line in enumerate(text.strip("\n").split("\n")):
            label, _, review = line.partition("\t")
            labels = {self.builder_config.name: int(label)}
            yield key, {"inputs": review.strip(), "labels": labels}


def fdu_mtl(
    split: str = "train",
    *,
    domains: Sequence[str] = DOMAINS,
    data_dir: str | os.PathLike[str] | None = None,
    manual_dir: str | os.PathLike[str] | None = None,
) -> dict[str, tf.data.Dataset]:
    """Loads the 16 domains of FDU-MTL as `(text, {domain: label})`, one example per review.

    Choose it for tasks with separate inputs: `data.mixture` mixes the domains to one stream.

    Args:
        split: `"train"`, `"test"`, or a part such as `"train[:90%]"`.
        domains: Names of the domains to load. Defaults to all.
        data_dir: Folder of prepared data sets. Defaults to `~/tensorflow_datasets`.
        manual_dir: Folder that holds `fdu_mtl` or `fdu_mtl.tar.xz`. Defaults to
            `downloads/manual` in `data_dir`.

    Returns:
        A dict from domain to a dataset of known cardinality, which is an argument of
        `data.mixture`.

    Raises:
        FileNotFoundError: If the files are missing; the message names them and their folder.

    Example:
        If the files are missing, the error names them and their folder:

        >>> import tempfile
        >>> fdu_mtl("test", data_dir=tempfile.mkdtemp(), manual_dir="no/such/folder")
        Traceback (most recent call last):
        FileNotFoundError: fdu_mtl: no/such/folder holds none of [...
    """
    return {
        name: load(FduMtl(config=name, data_dir=data_dir), split, manual_dir) for name in domains
    }


def fdu_mtl_tasks(domains: Sequence[str] = DOMAINS) -> list[Task]:
    """Returns the tasks of `fdu_mtl`, named after the domains.

    Args:
        domains: Names of the domains whose tasks are returned. Defaults to all.

    Example:
        >>> len(fdu_mtl_tasks())
        16
    """
    return [Task.binary(name) for name in domains]
