"""The datasets of a study, as every training gets them."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import tensorflow as tf

from keras_mtl._tasks import Task
from keras_mtl.data import check_dataset, mask_missing, select_tasks
from keras_mtl.studies._data._fingerprint import (
    Fingerprint,
    digest_of_first_batch,
    take_fingerprint,
)

Part = Literal["train", "validation", "test"]
Source: TypeAlias = Any  # tf.data.Dataset | Callable[[], tf.data.Dataset]
"""A dataset, or a function that makes one."""


@dataclasses.dataclass(frozen=True)
class StudyData:
    """Holds the three datasets of a study.

    Args:
        train: Batches to train on.
        validation: Batches on which epochs and settings are chosen.
        test: Batches for the verdicts.
        steps: The number of batches per epoch, for endless training data.
    """

    train: Source
    validation: Source
    test: Source
    steps: int | None = None

    def open(self, part: Part, tasks: Sequence[Task]) -> tf.data.Dataset:
        """Returns the batches of a part with the labels of some tasks, missing ones masked."""
        return mask_missing(select_tasks(self.source(part), tasks), tasks)

    def check(self, tasks: Sequence[Task]) -> dict[Part, Fingerprint]:
        """Checks all parts, and returns their fingerprints.

        Raises:
            TypeError: If a part is no dataset.
            ValueError: If a part does not fit the tasks, comes in another order each time where
                that may not be, or equals another part.
        """
        taken: dict[Part, Fingerprint] = {}
        for part in PARTS:
            dataset = _check_part(part, getattr(self, part), tasks, self.steps)
            if part == "train":
                taken[part] = _fingerprint_of_training(dataset)
                continue
            taken[part] = take_fingerprint(dataset)
            if take_fingerprint(self.source(part)) != taken[part]:
                raise ValueError(
                    f"{part} yields other batches each time that it is read. All networks are "
                    "judged on the same rows: do not shuffle them, and draw no random numbers."
                )
        _check_different(self, taken)
        return taken

    def source(self, part: Part) -> tf.data.Dataset:
        """Returns a part as it was passed, or as its function makes it."""
        source = getattr(self, part)
        return source if isinstance(source, tf.data.Dataset) else source()


PARTS: tuple[Part, ...] = ("train", "validation", "test")


def _check_part(
    part: Part, source: Any, tasks: Sequence[Task], steps: int | None
) -> tf.data.Dataset:
    dataset = source() if callable(source) and not isinstance(source, tf.data.Dataset) else source
    if not isinstance(dataset, tf.data.Dataset):
        what = "is None" if dataset is None else f"is a {type(dataset).__name__}"
        cure = {
            "train": "",
            "validation": " Settings and epochs are chosen on it: hold a part of the training "
            "rows back.",
            "test": " Verdicts rest on rows that no choice has seen.",
        }[part]
        raise TypeError(
            f"{part} {what}; expected a batched tf.data.Dataset of (x, y) or (x, y, w), or a "
            f"function without arguments that returns one.{cure} "
            "Arrays: tf.data.Dataset.from_tensor_slices((x, y)).batch(64)."
        )
    try:
        check_dataset(
            mask_missing(select_tasks(dataset, tasks), tasks),
            tasks,
            steps_per_epoch=steps if part == "train" else None,
        )
        if part != "train" and dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
            raise ValueError("it is endless; pass it as it is before .repeat().")
    except (TypeError, ValueError) as error:
        raise type(error)(f"{part} cannot be used: {error}") from error
    return dataset


def _fingerprint_of_training(dataset: tf.data.Dataset) -> Fingerprint:
    # Its order may change from epoch to epoch, so that only its form is compared.
    size = int(dataset.cardinality())
    return Fingerprint(repr(dataset.element_spec), size, -1, "")


def _check_different(data: StudyData, taken: dict[Part, Fingerprint]) -> None:
    if taken["validation"].digest == taken["test"].digest:
        raise ValueError(
            "validation and test hold the same rows. The test part would be used for choosing "
            "epochs and settings, and its scores would be too good: pass rows that nothing is "
            "chosen by."
        )
    first = digest_of_first_batch(data.source("train"))
    for part in ("validation", "test"):
        if first == digest_of_first_batch(data.source(part)):
            raise ValueError(
                f"train and {part} begin with the same batch: networks would be judged on rows "
                "that they were trained on. Pass parts without common rows."
            )
