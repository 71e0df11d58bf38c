"""Toxicity of molecules from SMILES strings: many assays, most of which were never made.

    python examples/12_toxicity.py                                        # made-up molecules
    python examples/12_toxicity.py --data-dir FOLDER --set tox21          # 12 assays, 17 % missing
    python examples/12_toxicity.py --data-dir FOLDER --set toxcast        # 617 assays, 71 % missing

All assays are one task of many columns. The features are counts of runs of one to six characters,
found by a Keras layer, so that a model that is served may take SMILES strings.
"""

import keras
import numpy as np
from helpers import comparison, scores, small_data

import keras_mtl as mtl
from keras_mtl import architectures, data, datasets

SETS = {
    "tox21": (datasets.tox21, 12, small_data.write_assays),
    "toxcast": (datasets.toxcast, 617, small_data.write_toxcast),
}
RUNS = 6000  # the most frequent ones


def make_encoder(texts):
    """Returns a model from SMILES to log(1 + counts) of the most frequent runs of characters."""
    counts = keras.layers.TextVectorization(
        max_tokens=RUNS, standardize=None, split="character", ngrams=6, output_mode="count"
    )
    counts.adapt(texts)
    smiles = keras.Input((), dtype="string", name="smiles")
    return keras.Model(smiles, keras.ops.log1p(keras.ops.cast(counts(smiles), "float32")))


def body(features):
    """Applies two layers for all assays; half of the features are dropped at each step."""
    x = keras.layers.Dropout(0.5, name="shared_left_out")(features)
    for place in range(2):
        x = keras.layers.Dense(256, activation="relu", name=f"shared_dense_{place}")(x)
        x = keras.layers.Dropout(0.5, name=f"shared_dropout_{place}")(x)
    return x


def main(options):
    load, assays, write = SETS[options.set]
    names = [f"assay_{place}" for place in range(assays)]
    tasks = [mtl.Task.multilabel("toxicity", columns=names, metrics=())]
    with comparison.files(options, write) as place:
        raw = {split: load(split, **place).batch(512) for split in ("train", options.split)}
        encoder = make_encoder(raw["train"].map(lambda smiles, y: smiles))

        def encode(smiles, y, w):
            return encoder(smiles), y, w

        sets = {
            split: data.mask_missing(batches, tasks).map(encode) for split, batches in raw.items()
        }
        train = comparison.shuffled(sets["train"], options)
        x, y, w = comparison.arrays(sets[options.split])
        labels = np.where(w["toxicity"] > 0, y["toxicity"], np.nan)

        def run(shared, balancer=None):
            network = architectures.hard_sharing(
                keras.Input((encoder.output.shape[-1],)), tasks, shared=shared, tower=()
            )
            model = comparison.fit(network, tasks, train, options, balancer)
            predicted = model.predict(x, batch_size=512, verbose=0)["toxicity"]
            return {f"mean AUC of {assays}": scores.mean_auc(labels, predicted)}

        variants = {
            "no shared layer": lambda: run(()),
            "hard sharing": lambda: run(body),
            "hard sharing, Uncertainty": lambda: run(body, mtl.balancers.Uncertainty()),
        }
        return comparison.table(variants, options)


if __name__ == "__main__":
    parser = comparison.parser(__doc__, epochs=20, batch_size=128)
    parser.add_argument("--set", default="tox21", choices=SETS)
    parser.add_argument("--split", default="test", choices=["validation", "test"])
    main(comparison.parse(parser))
