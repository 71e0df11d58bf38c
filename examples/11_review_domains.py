"""Sentiment of reviews in 16 domains, one task with separate inputs per domain, in one stream.

    python examples/11_review_domains.py                                  # made-up reviews
    python examples/11_review_domains.py --data-dir FOLDER --seeds 3      # FDU-MTL: fdu_mtl.tar.xz

`data.mixture` draws from all domains; a review has a label, and a gradient, in its own domain only.
A review is the mean of embeddings of its words and pairs of words. Nothing is pre-trained.
"""

import keras
import numpy as np
from helpers import comparison, scores, small_data

from keras_mtl import architectures, data, datasets

LENGTH, TERMS = 500, 40_000
DOMAINS = [task.name for task in datasets.fdu_mtl_tasks()]


def make_encoder(texts):
    """Returns a model from texts to the numbers of words and pairs of words, by frequency."""
    lookup = keras.layers.TextVectorization(
        TERMS, standardize=None, ngrams=2, output_sequence_length=LENGTH, name="lookup"
    )
    lookup.adapt(texts)
    text = keras.Input((), dtype="string", name="text")
    return keras.Model(text, lookup(text))


def mean_embedding(name):
    """Returns a part of a network that computes the mean of embeddings of terms."""

    def part(terms):
        embed = keras.layers.Embedding(TERMS, 64, name=f"{name}_terms")
        there = keras.ops.expand_dims(keras.ops.cast(terms != 0, "float32"), -1)
        # Some reviews are empty: their mean is 0, where average pooling would divide by 0.
        count = keras.ops.maximum(keras.ops.sum(there, axis=1), 1.0)
        mean = keras.ops.sum(embed(terms) * there, axis=1) / count
        return keras.layers.Dropout(0.3, name=f"{name}_dropout")(mean)

    return part


def shared(tasks):
    """Builds embeddings that all domains share, and one head per domain."""
    terms = keras.Input((LENGTH,), dtype="int64", name="terms")
    body = mean_embedding("shared")
    return architectures.hard_sharing(terms, tasks, shared=body, tower=())


def main(options):
    split, rest = ("train[90%:]", "train[:90%]") if options.validate else ("test", "train")
    names, tasks = options.domains, datasets.fdu_mtl_tasks(options.domains)
    with comparison.files(options, lambda folder: small_data.write_reviews(folder, names)) as place:
        raw = {part: datasets.fdu_mtl(part, domains=names, **place) for part in (rest, split)}
        texts = data.mixture(raw[rest], tasks, batch_size=512).map(lambda text, y, w: text)
        encoder = make_encoder(texts)

        def encoded(part):
            for name, reviews in raw[part].items():
                yield name, reviews.batch(512).map(lambda text, y: (encoder(text), y))

        test = {name: comparison.arrays(batches) for name, batches in encoded(split)}
        train = {
            name: data.known_cardinality(batches.unbatch().cache()).shuffle(2000)
            for name, batches in encoded(rest)
        }
        together = data.mixture(train, tasks, batch_size=options.batch_size)

        def accuracy(model, name):
            x, y = test[name]
            return scores.accuracy(y[name], model.predict(x, batch_size=512, verbose=0)[name])

        def alone():
            accuracies = []
            for task in tasks:
                batches = train[task.name].batch(options.batch_size)
                model = comparison.fit(shared([task]), [task], batches, options)
                accuracies.append(accuracy(model, task.name))
            return {"mean accuracy": float(np.mean(accuracies))}

        def mixed():
            model = comparison.fit(shared(tasks), tasks, together, options)
            return {"mean accuracy": float(np.mean([accuracy(model, name) for name in names]))}

        variants = {"one for each domain": alone, "hard sharing, mixture": mixed}
        return comparison.table(variants, options)


if __name__ == "__main__":
    parser = comparison.parser(__doc__, epochs=6, batch_size=128, learning_rate=5e-3)
    parser.add_argument("--domains", nargs="+", default=DOMAINS)
    parser.add_argument("--validate", action="store_true", help="score 10 %% of the training part")
    main(comparison.parse(parser))
