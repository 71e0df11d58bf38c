"""Sets of `tensorflow-datasets`, ready to be mixed."""

import os
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import tensorflow as tf

Source: TypeAlias = str | tuple[str, str | Callable[[dict[str, Any]], Any]]


def from_tfds(
    sources: Mapping[str, Source],
    *,
    split: str | Mapping[str, str] = "train",
    inputs: str | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    download: bool = True,
) -> dict[str, tf.data.Dataset]:
    """Loads sets of `tensorflow-datasets`, one for each task, for `mixture`.

    Args:
        sources: By task, the source of its labels:
            `"imdb_reviews"`: the input and the label that the set names itself;
            `("ag_news_subset", "label")`: the label under this key;
            `("celeb_a", function)`: `function(example) -> (x, label)`, or `(x, {task: label})`
            for a set with labels of several tasks (the key is then a name for the set).
            A name may hold a configuration and a version, as in `"glue/sst2:2.0.0"`.
        split: `"train"`, a part of a split like `"train[:90%]"`, or by task. Defaults to
            `"train"`.
        inputs: The key of the inputs, where the set names none or another one. Functions return
            the inputs themselves.
        data_dir: Folder of prepared data sets. Defaults to `~/tensorflow_datasets`.
        download: Whether to download and prepare sets that the folder does not have. Defaults to
            `True`.

    Returns:
        By task, a dataset of single examples `(x, {task: label})` of known cardinality, in the
        order of the files. Shuffle each one before mixing.

    Raises:
        ValueError: If a set has no such split or key, or names no input and label itself. The
            message names the task, the set and its features or splits.

    Example:
        A set that is prepared in `folder` already, here a small part of the census:

        >>> import tempfile
        >>> from keras_mtl.datasets import CensusIncome
        >>> folder = tempfile.mkdtemp()
        >>> CensusIncome(config="small", data_dir=folder).download_and_prepare()
        Downloading and preparing dataset ...
        >>> older = lambda row: (row["columns"]["weeks_worked"], row["columns"]["age"] > 40)
        >>> sets = from_tfds({"older": ("census_income/small", older)}, data_dir=folder)
        >>> int(sets["older"].cardinality())
        20000
    """
    import tensorflow_datasets as tfds  # here: it takes a second, which `import keras_mtl` saves

    loaded = {}
    for task, source in sources.items():
        name, label = (source, None) if isinstance(source, str) else source
        task_split = split if isinstance(split, str) else split[task]
        builder = tfds.builder(name, data_dir=data_dir)
        if download:
            # Without asking Google Cloud for a prepared copy, which takes long where it cannot be
            # reached (docs/keras_notes.md, pain 91).
            builder.download_and_prepare(
                download_config=tfds.download.DownloadConfig(try_download_gcs=False)
            )
        try:
            examples = builder.as_dataset(split=task_split)
        except (ValueError, AssertionError) as error:
            raise ValueError(
                f"task {task!r}: set {name!r}, split {task_split!r}: {error}"
            ) from error
        if callable(label):
            loaded[task] = examples.map(_with_function(task, label))
        else:
            x_key, y_key = _find_keys(task, name, builder.info, inputs, label)
            loaded[task] = examples.map(_with_keys(task, x_key, y_key))
    return loaded


def _find_keys(
    task: str, name: str, info: Any, inputs: str | None, label: str | None
) -> tuple[str, str]:
    """Finds the keys of the inputs and of the label: those of the caller, or else of the set."""
    supervised = info.supervised_keys or (None, None)
    if len(supervised) != 2 or not all(key is None or isinstance(key, str) for key in supervised):
        supervised = (None, None)
    x_key, y_key = inputs or supervised[0], label or supervised[1]
    if x_key is None or y_key is None:
        raise ValueError(
            f"task {task!r}: set {name!r} names no input and label itself; its features are "
            f"{sorted(info.features)}. Give inputs='...' and ({name!r}, '...'), or a function."
        )
    for key in (x_key, y_key):
        if key not in info.features:
            raise ValueError(
                f"task {task!r}: set {name!r} has no feature {key!r}; its features are "
                f"{sorted(info.features)}."
            )
    return x_key, y_key


def _with_keys(task: str, x_key: str, y_key: str) -> Callable[[dict[str, Any]], Any]:
    """Returns a function from an example of the set to `(x, {task: label})`, by keys."""
    return lambda example: (example[x_key], {task: example[y_key]})


def _with_function(task: str, function: Callable[..., Any]) -> Callable[[dict[str, Any]], Any]:
    """Returns a function from an example of the set to `(x, {task: label})`, by a function."""

    def pair(example: dict[str, Any]) -> Any:
        x, label = function(example)
        return x, label if isinstance(label, Mapping) else {task: label}

    return pair
