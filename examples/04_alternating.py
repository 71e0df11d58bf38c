"""Training task by task: three ways to take turns between two data sets.

    python examples/04_alternating.py                             # made-up texts
    python examples/04_alternating.py --data-dir FOLDER --seeds 3

FOLDER is that of 03_sentiment_and_topic.py. All ways see as many texts of each task. A task that is
not in a batch rests: its head, and what the optimizer remembers of it, stay as they are. In long
turns, the task that comes last may take the shared layers from the other; the made-up texts are
too few to show it.
"""

import keras
from helpers import comparison, two_texts

from keras_mtl import architectures, balancers, data

SENTIMENT, TOPIC = two_texts.TASKS


def blocks_of(steps):
    """Returns a schedule: so many steps of sentiment, then as many of topic, and so on."""

    def rates(step):
        of_topic = float(step // steps % 2)
        return {"sentiment": 1 - of_topic, "topic": of_topic}

    return rates


def main(options):
    train, test = two_texts.load(options)
    batches = {name: texts.batch(options.batch_size) for name, texts in train.items()}
    # An epoch has as many batches of both: those of the smaller set, which is seen whole.
    steps = 2 * min(int(dataset.cardinality()) for dataset in batches.values())

    def run(stream):
        words = keras.Input((two_texts.LENGTH,), dtype="int64", name="words")
        network = architectures.hard_sharing(
            words, two_texts.TASKS, shared=two_texts.body, tower=(32,)
        )
        # The balancer adds the losses; `absent="rest"`, the default, is what is wanted here.
        model = comparison.fit(network, two_texts.TASKS, stream, options, balancers.Equal())
        return two_texts.accuracies(model, test, two_texts.TASKS)

    def turns(sampling):
        return data.mixture(batches, two_texts.TASKS, sampling=sampling, until=steps)

    def joint():
        rates = {"sampling": "uniform", "until": steps, "batch_size": options.batch_size}
        return data.mixture(train, two_texts.TASKS, **rates)

    variants = {
        "both in each batch": lambda: run(joint()),
        "a batch of each in turn": lambda: run(turns("round_robin")),
        "half an epoch of each": lambda: run(turns(blocks_of(steps // 2))),
    }
    return comparison.table(variants, options)


if __name__ == "__main__":
    main(comparison.parse(comparison.parser(__doc__, epochs=4, learning_rate=2e-3)))
