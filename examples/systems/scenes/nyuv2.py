"""A reader of NYUv2 as it was prepared for MTAN: arrays in files, 288 x 384 pixels, 13 classes.

The folder has `train` and `val`, each with the folders `image` (in 0 to 1), `label` (-1 where a
pixel has none), `depth` (meters, 0 where unknown) and `normal` (0 where unknown), and in each of
them 0.npy, 1.npy, ... The files are not part of this package; see https://github.com/lorenmt/mtan.
"""

import pathlib

import numpy as np

CLASSES = 13


def read(folder, part, step=4, limit=None):
    """Returns images and labels by task, with NaN where a pixel has none; each `step`-th pixel."""
    place = pathlib.Path(folder, part)
    names = sorted((place / "image").glob("*.npy"), key=lambda path: int(path.stem))[:limit]
    if not names:
        raise FileNotFoundError(
            f"{place / 'image'} has no .npy files; expected 0.npy, 1.npy, ... of NYUv2 as MTAN's "
            "authors prepared it (image, label, depth and normal in train and val)."
        )

    def load(kind):
        arrays = [np.load(place / kind / path.name)[::step, ::step] for path in names]
        return np.stack(arrays).astype("float32")

    label, depth, normals = load("label"), load("depth"), load("normal")
    depth = depth.reshape(*depth.shape[:3], 1)
    unknown = np.abs(normals).sum(axis=-1, keepdims=True) == 0
    with np.errstate(divide="ignore"):
        log_depth = np.where(depth > 0, np.log(depth), np.nan)
    labels = {
        "parts": np.where(label >= 0, label, np.nan),
        "depth": log_depth,
        "normals": np.where(unknown, np.nan, normals),
    }
    return load("image"), labels
