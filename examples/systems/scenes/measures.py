"""Figures of dense predictions, and two baselines without a network."""

import numpy as np
from sklearn.linear_model import LogisticRegression, Ridge

COLUMNS = ("mean IoU", "pixels right", "depth error, %", "normals, degrees", "within 11.25°")


def figures(predicted, labels):
    """Returns the figures by column; pixels without a label do not count."""
    kinds = predicted["parts"].shape[-1]
    known = np.isfinite(labels["parts"])
    guess, truth = predicted["parts"].argmax(-1)[known], labels["parts"][known]
    unions = [((guess == k) | (truth == k)).sum() for k in range(kinds)]
    overlaps = [((guess == k) & (truth == k)).sum() for k in range(kinds)]
    ious = [o / u for o, u in zip(overlaps, unions, strict=True) if u]
    # Depths are logarithms: their difference is a relative error.
    gap = np.abs(np.expm1(predicted["depth"] - labels["depth"]))
    cosine = (predicted["normals"] * labels["normals"]).sum(-1)
    angles = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    near = angles[np.isfinite(angles)] < 11.25
    values = (np.mean(ious), np.mean(guess == truth), 100 * np.nanmean(gap))
    values += (np.nanmean(angles), near.mean())
    return dict(zip(COLUMNS, map(float, values), strict=True))


def constant(labels, shape, classes):
    """Returns the most frequent class, the mean depth and the mean normal of each place."""
    parts = labels["parts"]
    counts = np.stack([(parts == k).sum(axis=0) for k in range(classes)], axis=-1)
    normals = np.nanmean(labels["normals"], axis=0)
    normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-6)
    maps = {"parts": counts, "depth": np.nanmean(labels["depth"], axis=0), "normals": normals}
    return {name: np.broadcast_to(values, (shape, *values.shape)) for name, values in maps.items()}


def _patches(images, reach=2):
    """Returns for each pixel the colors around it and its place, `(pixels, numbers)`."""
    padded = np.pad(images, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode="edge")
    height, width = images.shape[1:3]
    steps = range(2 * reach + 1)
    around = [padded[:, i : i + height, j : j + width] for i in steps for j in steps]
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    place = np.broadcast_to(np.stack([y, x, y * y, x * x], -1), (len(images), height, width, 4))
    return np.concatenate([*around, place], axis=-1).reshape(-1, 25 * 3 + 4)


def linear(images, labels, test_images, classes, pixels=20_000):
    """Returns predictions of linear models on the 5 x 5 colors around a pixel and its place."""
    x, x_test = _patches(images), _patches(test_images)
    rng = np.random.default_rng(0)

    def sample(values):
        known = np.flatnonzero(np.isfinite(values).all(axis=-1))
        return rng.choice(known, min(pixels, len(known)), replace=False)

    shape = test_images.shape[:3]
    parts = labels["parts"].reshape(-1, 1)
    rows = sample(parts)
    model = LogisticRegression(max_iter=300).fit(x[rows], parts[rows, 0])
    result = {"parts": np.zeros((*shape, classes))}
    result["parts"][..., model.classes_.astype(int)] = model.predict_proba(x_test).reshape(
        *shape, -1
    )
    for name in ("depth", "normals"):
        values = labels[name].reshape(len(x), -1)
        rows = sample(values)
        guess = Ridge().fit(x[rows], values[rows]).predict(x_test)
        result[name] = guess.reshape(*shape, -1)
    lengths = np.linalg.norm(result["normals"], axis=-1, keepdims=True)
    result["normals"] = result["normals"] / np.maximum(lengths, 1e-6)
    return result
