"""Sentiment of film reviews and topic of news: two data sets, one bidirectional LSTM.

    python examples/03_sentiment_and_topic.py                             # made-up texts
    python examples/03_sentiment_and_topic.py --data-dir FOLDER --seeds 3

FOLDER holds imdb.tsv.gz (split, id, label, rating, text) and agnews_test.csv.gz (class, title,
text; the first 80 % are for training). With a network,
`data.from_tfds({"sentiment": "imdb_reviews", "topic": "ag_news_subset"})` gives both sets whole.
The mixture draws from both by the square root of their sizes. Nothing is pre-trained.
"""

import keras
from helpers import comparison, two_texts

from keras_mtl import architectures, balancers, data


def main(options):
    train, test = two_texts.load(options)

    def run(chosen, balancer=None):
        mixed = data.mixture(
            {task.name: train[task.name] for task in chosen},
            chosen,
            sampling=data.Temperature(2.0),
            until="first",
            batch_size=options.batch_size,
        )
        words = keras.Input((two_texts.LENGTH,), dtype="int64", name="words")
        network = architectures.hard_sharing(words, chosen, shared=two_texts.body, tower=(32,))
        model = comparison.fit(network, chosen, mixed, options, balancer)
        return two_texts.accuracies(model, test, chosen)

    sentiment, topic = two_texts.TASKS
    variants = {
        "one for each task": lambda: run([sentiment]) | run([topic]),
        "hard sharing": lambda: run([sentiment, topic]),
        "hard sharing, PCGrad": lambda: run([sentiment, topic], balancers.PCGrad()),
    }
    return comparison.table(variants, options)


if __name__ == "__main__":
    main(comparison.parse(comparison.parser(__doc__, epochs=4, learning_rate=2e-3)))
