"""Multi-MNIST and Multi-Fashion: two overlapping images in one, with one task per image."""

import gzip
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tensorflow_datasets as tfds

from keras_mtl._tasks import Task
from keras_mtl.datasets._manual import load

_FILES = {"train": "train", "test": "t10k"}
_ADDRESSES = {
    "mnist": "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "fashion": "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
}
_CHECKSUMS = {  # SHA-256 of the files at these addresses, as tensorflow-datasets states them
    "mnist": {
        "train-images": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "train-labels": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "t10k-images": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "t10k-labels": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    },
    "fashion": {
        "train-images": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "train-labels": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "t10k-images": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "t10k-labels": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    },
}
_CANVAS, _SIZE, _OFFSET = 36, 28, 6  # in pixels

_DESCRIPTION = """\
Pairs of images of {name}: one at the top left [0:28] and one at the bottom right [6:34] of a
36 x 36 canvas. Where they overlap, the brighter of the two pixels is kept. The canvas is resized
to 28 x 28 (bilinear with antialiasing). Every image of a split occurs once on the left and once
on the right, with a partner that is drawn with seed 0: 60,000 / 10,000 pairs.

Tasks: `left` and `right`, with 10 classes each. Papers build the set in different ways: state the
way and the seed when you compare figures.

License: {license}, as for {name}.
"""

_CITATION = """\
@inproceedings{sener2018multi,
  title = {Multi-Task Learning as Multi-Objective Optimization},
  author = {Sener, Ozan and Koltun, Vladlen},
  booktitle = {NeurIPS},
  year = {2018},
}
"""

_LICENSES = {"mnist": ("MNIST", "CC BY-SA 3.0"), "fashion": ("Fashion-MNIST", "MIT")}


class MultiMnist(tfds.core.GeneratorBasedBuilder):
    """Builds Multi-MNIST with `tensorflow-datasets` from the files of the original set.

    The configurations are `mnist` and `fashion`. Files that are in `manual_dir` are read there.
    All others are downloaded, and their checksums are compared.

    Example:
        >>> builder = MultiMnist(config="fashion", data_dir="/nowhere")
        >>> builder.info.features["inputs"].shape
        (28, 28, 1)
    """

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS: ClassVar[list[tfds.core.BuilderConfig]] = [
        tfds.core.BuilderConfig(name="mnist", description="Digits."),
        tfds.core.BuilderConfig(name="fashion", description="Pieces of clothing."),
    ]

    def _info(self) -> tfds.core.DatasetInfo:
        name, license_name = _LICENSES[self.builder_config.name]
        labels = {"left": np.int64, "right": np.int64}
        image = tfds.features.Image(shape=(_SIZE, _SIZE, 1))
        return tfds.core.DatasetInfo(
            builder=self,
            description=_DESCRIPTION.format(name=name, license=license_name),
            features=tfds.features.FeaturesDict({"inputs": image, "labels": labels}),
            homepage=_ADDRESSES[self.builder_config.name],
            citation=_CITATION,
            license=license_name,
            disable_shuffling=True,
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[int, dict[str, Any]]]]:
        splits = {}
        for split, prefix in _FILES.items():
            names = [f"{prefix}-images-idx3-ubyte.gz", f"{prefix}-labels-idx1-ubyte.gz"]
            images, labels = (read_idx(self._path(dl_manager, name)) for name in names)
            splits[split] = self._generate_examples(images, labels)
        return splits

    def _path(self, dl_manager: tfds.download.DownloadManager, name: str) -> Path:
        # The public `manual_dir` fails where there is none (docs/keras_notes.md, pain 91).
        manual_dir = dl_manager._manual_dir
        for file in (name, name.removesuffix(".gz")):
            if manual_dir and (path := Path(manual_dir) / file).exists():
                return path
        config = self.builder_config.name
        path = Path(dl_manager.download(_ADDRESSES[config] + name))
        check_sum(path, _CHECKSUMS[config][name.partition("-idx")[0]], name)
        return path

    def _generate_examples(
        self, images: npt.NDArray[np.uint8], labels: npt.NDArray[np.uint8]
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        partners = np.random.default_rng(0).permutation(len(images))
        # A thousand pairs at a time: resizing is fast in batches, and memory stays small.
        for first in range(0, len(images), 1000):
            left = np.arange(first, min(first + 1000, len(images)))
            right = partners[left]
            pairs = overlay(images[left], images[right])
            rows = zip(pairs, labels[left].tolist(), labels[right].tolist(), strict=True)
            for key, (image, left_label, right_label) in zip(left.tolist(), rows, strict=True):
                yield key, {"inputs": image, "labels": {"left": left_label, "right": right_label}}


def overlay(left: npt.NDArray[np.uint8], right: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Overlays two arrays of images `(n, 28, 28)` and returns images `(n, 28, 28, 1)`.

    Example:
        >>> black, white = np.zeros((1, 28, 28), "uint8"), np.full((1, 28, 28), 255, "uint8")
        >>> image = overlay(white, black)[0, :, :, 0]
        >>> int(image[0, 0]), int(image[-1, -1])
        (255, 0)
    """
    canvas = np.zeros((len(left), _CANVAS, _CANVAS, 1), np.uint8)
    canvas[:, :_SIZE, :_SIZE, 0] = left
    # A view, so that the maximum is written to the canvas.
    bottom_right = canvas[:, _OFFSET : _OFFSET + _SIZE, _OFFSET : _OFFSET + _SIZE, 0]
    np.maximum(bottom_right, right, out=bottom_right)
    small = tf.image.resize(canvas, (_SIZE, _SIZE), antialias=True)
    return np.asarray(tf.cast(tf.round(small), tf.uint8))


def check_sum(path: Path, expected: str, name: str) -> None:
    """Checks the SHA-256 of a file that was downloaded.

    Raises:
        ValueError: If it differs from the expected one.
    """
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != expected:
        raise ValueError(
            f"{name} has the SHA-256 {digest}; expected {expected}. Download it again."
        )


def read_idx(path: Path) -> npt.NDArray[np.uint8]:
    """Reads a file of bytes in the idx format of MNIST, plain or gzipped.

    Raises:
        ValueError: If it is not such a file, or is shorter than its header says.
    """
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":  # the first bytes of every gzipped file
        data = gzip.decompress(data)
    # Header: two zeros, 8 for unsigned bytes, the number of axes, then 4 bytes per axis.
    axes = data[3] if data[:3] == b"\0\0\x08" else 0
    shape = np.frombuffer(data, ">i4", axes, 4)
    body = np.frombuffer(data, np.uint8, offset=4 + 4 * axes)
    if not axes or body.size != np.prod(shape):
        raise ValueError(f"{path} is no idx file of bytes, or is cut off.")
    return body.reshape(shape)


def multi_mnist(
    split: str = "train",
    *,
    config: str = "mnist",
    data_dir: str | os.PathLike[str] | None = None,
    manual_dir: str | os.PathLike[str] | None = None,
) -> tf.data.Dataset:
    """Loads Multi-MNIST (or Multi-Fashion) as `(image, labels)`, one example per pair.

    Choose it for two classifications of the same image that compete for shared features.

    Args:
        split: `"train"`, `"test"`, or a part such as `"train[:90%]"`.
        config: `"mnist"` or `"fashion"`.
        data_dir: Folder of prepared data sets. Defaults to `~/tensorflow_datasets`.
        manual_dir: Folder that holds the four files of MNIST or Fashion-MNIST
            (`train-images-idx3-ubyte.gz`, ...). Defaults to downloading them.

    Returns:
        A dataset of known cardinality: uint8 images `(28, 28, 1)` and a dict of the int64 labels
        `left` and `right`.

    Raises:
        FileNotFoundError: If `manual_dir` is given and does not exist.
        ValueError: If a file is damaged.

    Example:
        >>> multi_mnist("test", manual_dir="no/such/folder")
        Traceback (most recent call last):
        FileNotFoundError: multi_mnist: no/such/folder is no folder ...
    """
    if manual_dir is not None and not Path(manual_dir).is_dir():
        raise FileNotFoundError(
            f"multi_mnist: {manual_dir} is no folder that could hold train-images-idx3-ubyte.gz "
            "and the other three files; leave manual_dir out to download them."
        )
    return load(MultiMnist(config=config, data_dir=data_dir), split, manual_dir)


def multi_fashion(
    split: str = "train",
    *,
    data_dir: str | os.PathLike[str] | None = None,
    manual_dir: str | os.PathLike[str] | None = None,
) -> tf.data.Dataset:
    """Loads Multi-Fashion: `multi_mnist` with the configuration `fashion`.

    Args:
        split: `"train"`, `"test"`, or a part such as `"train[:90%]"`.
        data_dir: Folder of prepared data sets. Defaults to `~/tensorflow_datasets`.
        manual_dir: Folder that holds the four files of Fashion-MNIST. Defaults to downloading
            them.

    Returns:
        A dataset of known cardinality: uint8 images `(28, 28, 1)` and a dict of the int64 labels
        `left` and `right`.

    Raises:
        FileNotFoundError: If `manual_dir` is given and does not exist.
        ValueError: If a file is damaged.

    Example:
        >>> multi_fashion("test", manual_dir="no/such/folder")
        Traceback (most recent call last):
        FileNotFoundError: multi_mnist: no/such/folder is no folder ...
    """
    return multi_mnist(split, config="fashion", data_dir=data_dir, manual_dir=manual_dir)


def multi_mnist_tasks() -> list[Task]:
    """Returns the tasks of `multi_mnist` and `multi_fashion`: `left` and `right`.

    Example:
        >>> [task.name for task in multi_mnist_tasks()]
        ['left', 'right']
    """
    return [Task.multiclass("left", 10), Task.multiclass("right", 10)]
