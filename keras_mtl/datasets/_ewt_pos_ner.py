"""The English Web Treebank: part of speech and named entity of the same words."""

import os
from collections.abc import Iterator
from typing import Any

import tensorflow as tf
import tensorflow_datasets as tfds

from keras_mtl._tasks import Task
from keras_mtl.datasets._manual import find_file, load, read_members

POS = (
    "ADJ",
    "ADP",
    "ADV",
    "AUX",
    "CCONJ",
    "DET",
    "INTJ",
    "NOUN",
    "NUM",
    "PART",
    "PRON",
    "PROPN",
    "PUNCT",
    "SCONJ",
    "SYM",
    "VERB",
    "X",
)
NER = ("O", "B-LOC", "B-ORG", "B-PER", "I-LOC", "I-ORG", "I-PER")
_SPLITS = {"train": "train", "validation": "dev", "test": "test"}

_DESCRIPTION = """\
Sentences of the English Web Treebank with universal parts of speech and with the named entities
of Universal NER: 12,529 / 1,998 / 2,074 sentences in the published splits.

Tasks: `pos` (17 classes) and `ner` (7 classes, IOB2), with one label per word.

License: CC BY-SA 4.0.
"""

_CITATION = """\
@inproceedings{silveira2014gold,
  title = {A Gold Standard Dependency Corpus for {English}},
  author = {Silveira, Natalia and others},
  booktitle = {LREC},
  year = {2014},
}
@inproceedings{mayhew2024universal,
  title = {Universal {NER}: A Gold-Standard Multilingual Named Entity Recognition Benchmark},
  author = {Mayhew, Stephen and others},
  booktitle = {NAACL},
  year = {2024},
}
"""


class EwtPosNer(tfds.core.GeneratorBasedBuilder):
    """Builds the English Web Treebank, with two tags per word, with `tensorflow-datasets`.

    An example is `{"inputs": words, "labels": {"pos": classes, "ner": classes}}`.

    Example:
        >>> sorted(EwtPosNer(data_dir="/nowhere").info.features["labels"])
        ['ner', 'pos']
    """

    VERSION = tfds.core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
        The tags are in a folder ewt_pos_ner (or in ewt_pos_ner.tar.xz of that folder) with
        joint_train.tsv, joint_dev.tsv and joint_test.tsv. For each word there is a line with
        word, part of speech and entity, separated by tabs; an empty line follows each sentence.
        Make these files by joining UD_English-EWT (https://universaldependencies.org) with the
        labels of Universal NER (https://www.universalner.org)."""

    def _info(self) -> tfds.core.DatasetInfo:
        labels = {
            "pos": tfds.features.Sequence(tfds.features.ClassLabel(names=POS)),
            "ner": tfds.features.Sequence(tfds.features.ClassLabel(names=NER)),
        }
        words = tfds.features.Sequence(tfds.features.Text())
        return tfds.core.DatasetInfo(
            builder=self,
            description=_DESCRIPTION,
            features=tfds.features.FeaturesDict({"inputs": words, "labels": labels}),
            homepage="https://universaldependencies.org",
            citation=_CITATION,
            license="CC BY-SA 4.0",
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[int, dict[str, Any]]]]:
        path = find_file(self, dl_manager, ["ewt_pos_ner", "ewt_pos_ner.tar.xz"], "joint_train.tsv")
        names = {split: f"joint_{part}.tsv" for split, part in _SPLITS.items()}
        texts = read_members(path, list(names.values()))
        return {split: self._generate_examples(texts[name]) for split, name in names.items()}

    def _generate_examples(self, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
        sentences = (block.split("\n") for block in text.strip("\n").split("\n\n"))
        for key, lines in enumerate(sentences):
            words, pos, ner = zip(*(line.split("\t") for line in lines), strict=True)
            yield key, {"inputs": words, "labels": {"pos": pos, "ner": ner}}


def ewt_pos_ner(
    split: str = "train",
    *,
    data_dir: str | os.PathLike[str] | None = None,
    manual_dir: str | os.PathLike[str] | None = None,
) -> tf.data.Dataset:
    """Loads the English Web Treebank as `(words, labels)`, one example per sentence.

    Choose it for two tagging tasks of the same words. `data.align_tokens` turns the words into
    texts and pads all labels to one length.

    Args:
        split: `"train"`, `"validation"`, `"test"`, or a part such as `"train[:90%]"`.
        data_dir: Folder of prepared data sets. Defaults to `~/tensorflow_datasets`.
        manual_dir: Folder that holds `ewt_pos_ner` or `ewt_pos_ner.tar.xz`. Defaults to
            `downloads/manual` in `data_dir`.

    Returns:
        A dataset of known cardinality: strings `(words,)`, and a dict of the int64 labels
        `pos` and `ner`, `(words,)`.

    Raises:
        FileNotFoundError: If the files are missing; the message names them and their folder.

    Example:
        If the files are missing, the error names them and their folder:

        >>> import tempfile
        >>> ewt_pos_ner("test", data_dir=tempfile.mkdtemp(), manual_dir="no/such/folder")
        Traceback (most recent call last):
        FileNotFoundError: ewt_pos_ner: no/such/folder holds none of [...
    """
    return load(EwtPosNer(data_dir=data_dir), split, manual_dir)


def ewt_pos_ner_tasks() -> list[Task]:
    """Returns the tasks of `ewt_pos_ner`: `pos` and `ner`.

    Example:
        >>> [task.name for task in ewt_pos_ner_tasks()]
        ['pos', 'ner']
    """
    return [Task.tagging("pos", len(POS)), Task.tagging("ner", len(NER))]
