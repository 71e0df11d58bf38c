"""Palmer penguins, encoded, and the figures of the three tasks."""

from helpers import comparison, scores
from keras_mtl import data, datasets


def load(tasks, options):
    """Returns the encoder of columns, training batches, and the arrays of the test part."""
    with comparison.files(options, lambda folder: None) as place:
        raw = {
            split: datasets.penguins(split, data_dir=place["manual_dir"]).batch(64)
            for split in ("train", "test")
        }
        encoder = data.tabular_encoder(raw["train"])

        def encode(columns, y, w):
            return encoder(columns), y, w

        sets = {
            split: data.mask_missing(data.select_tasks(batches, tasks), tasks).map(encode)
            for split, batches in raw.items()
        }
        train = comparison.shuffled(sets["train"], options)
        return encoder, train, comparison.arrays(sets["test"])


def figures(predicted, y, w):
    """Returns the accuracies of species and male, and R² of the mass, of those predicted."""
    rows = {}
    for name in ("species", "male"):
        if name in predicted:
            rows[f"{name} accuracy"] = scores.accuracy(y[name], predicted[name], w[name])
    if "mass" in predicted:
        rows["mass R²"] = scores.r_squared(y["mass"], predicted["mass"][:, 0], w["mass"])
    return rows
