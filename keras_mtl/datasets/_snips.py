"""SNIPS: voice commands with one intent per command and one slot per word."""

import os
from collections.abc import Iterator
from typing import Any

import tensorflow as tf
import tensorflow_datasets as tfds

from keras_mtl._tasks import Task
from keras_mtl.datasets._manual import find_file, load, read_members

INTENTS = (
    "AddToPlaylist",
    "BookRestaurant",
    "GetWeather",
    "PlayMusic",
    "RateBook",
    "SearchCreativeWork",
    "SearchScreeningEvent",
)
_SPLITS = {"train": "train", "validation": "valid", "test": "test"}

_DESCRIPTION = """\
Commands to a voice assistant, 13,084 / 700 / 700 in the usual splits.

Tasks: `intent`, 7 classes per command, and `slots`, 72 classes per word (IOB tags of 39 kinds).
A slot that does not occur in the training part counts as O.

License: CC0.
"""

_CITATION = """\
@article{coucke2018snips,
  title = {Snips Voice Platform: an embedded Spoken Language Understanding system for
           private-by-design voice interfaces},
  author = {Coucke, Alice and others},
  journal = {arXiv:1805.10190},
  year = {2018},
}
"""

_KINDS = (
    "album",
    "artist",
    "best_rating",
    "city",
    "condition_description",
    "condition_temperature",
    "country",
    "cuisine",
    "current_location",
    "entity_name",
    "facility",
    "genre",
    "geographic_poi",
    "location_name",
    "movie_name",
    "movie_type",
    "music_item",
    "object_location_type",
    "object_name",
    "object_part_of_series_type",
    "object_select",
    "object_type",
    "party_size_description",
    "party_size_number",
    "playlist",
    "playlist_owner",
    "poi",
    "rating_unit",
    "rating_value",
    "restaurant_name",
    "restaurant_type",
    "served_dish",
    "service",
    "sort",
    "spatial_relation",
    "state",
    "timeRange",
    "track",
    "year",
)
# Slots of these kinds are one word long: they have no tag `I-`.
_SINGLE = {
    "best_rating",
    "condition_description",
    "condition_temperature",
    "party_size_number",
    "rating_unit",
    "rating_value",
    "year",
}
SLOTS = (
    "O",
    *(f"B-{kind}" for kind in _KINDS),
    *(f"I-{kind}" for kind in _KINDS if kind not in _SINGLE),
)


class Snips(tfds.core.GeneratorBasedBuilder):
    """Builds SNIPS with `tensorflow-datasets`.

    An example is `{"inputs": words, "labels": {"intent": class, "slots": classes}}`.

    Example:
        >>> len(SLOTS), Snips(data_dir="/nowhere").info.features["labels"]["intent"].num_classes
        (72, 7)
    """

    VERSION = tfds.core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
        SNIPS is a folder snips (or snips.tar.xz of that folder) with the folders train, valid
        and test, each with the files seq.in, seq.out and label, one command per line."""

    def _info(self) -> tfds.core.DatasetInfo:
        slot = tfds.features.ClassLabel(names=SLOTS)
        labels = {
            "intent": tfds.features.ClassLabel(names=INTENTS),
            "slots": tfds.features.Sequence(slot),
        }
        words = tfds.features.Sequence(tfds.features.Text())
        return tfds.core.DatasetInfo(
            builder=self,
            description=_DESCRIPTION,
            features=tfds.features.FeaturesDict({"inputs": words, "labels": labels}),
            homepage="https://github.com/sonos/nlu-benchmark",
            citation=_CITATION,
            license="CC0",
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[int, dict[str, Any]]]]:
        path = find_file(self, dl_manager, ["snips", "snips.tar.xz"], "train/seq.in")
        files = ("seq.in", "seq.out", "label")
        wanted = [f"{folder}/{file}" for folder in _SPLITS.values() for file in files]
        texts = read_members(path, wanted)
        return {
            split: self._generate_examples(*(texts[f"{folder}/{file}"] for file in files))
            for split, folder in _SPLITS.items()
        }

    def _generate_examples(
        self, words: str, slots: str, intents: str
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        lines = (text.rstrip("\n").split("\n") for text in (words, slots, intents))
        for key, (sentence, tags, intent) in enumerate(zip(*lines, strict=True)):
            labels = {"intent": intent.strip(), "slots": tags.split()}
            if len(sentence.split()) != len(labels["slots"]):
                raise ValueError(f"snips: line {key + 1} has different numbers of words and slots.")
            yield key, {"inputs": sentence.split(), "labels": labels}


def snips(
    split: str = "train",
    *,
    data_dir: str | os.PathLike[str] | None = None,
    manual_dir: str | os.PathLike[str] | None = None,
) -> tf.data.Dataset:
    """Loads SNIPS as `(words, labels)`, one example per command.

    Choose it for a classification of a sentence beside tags of its words. `data.align_tokens`
    turns the words into texts and pads all labels to one length.

    Args:
        split: `"train"`, `"validation"`, `"test"`, or a part such as `"train[:90%]"`.
        data_dir: Folder of prepared data sets. Defaults to `~/tensorflow_datasets`.
        manual_dir: Folder that holds `snips` or `snips.tar.xz`. Defaults to `downloads/manual`
            in `data_dir`.

    Returns:
        A dataset of known cardinality: strings `(words,)`, and a dict of the int64 labels
        `intent`, a scalar, and `slots`, `(words,)`.

    Raises:
        FileNotFoundError: If the files are missing; the message names them and their folder.

    Example:
        If the files are missing, the error names them and their folder:

        >>> import tempfile
        >>> snips("test", data_dir=tempfile.mkdtemp(), manual_dir="no/such/folder")
        Traceback (most recent call last):
        FileNotFoundError: snips: no/such/folder holds none of [...
    """
    return load(Snips(data_dir=data_dir), split, manual_dir)


def snips_tasks() -> list[Task]:
    """Returns the tasks of `snips`: `intent` and `slots`.

    Example:
        >>> [task.name for task in snips_tasks()]
        ['intent', 'slots']
    """
    return [Task.multiclass("intent", len(INTENTS)), Task.tagging("slots", len(SLOTS))]
