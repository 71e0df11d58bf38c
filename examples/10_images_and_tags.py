"""A task on images beside a task on sentences: two kinds of inputs, one recurrent body.

    python examples/10_images_and_tags.py                             # made-up files
    python examples/10_images_and_tags.py --data-dir FOLDER --seeds 3

FOLDER holds ewt_pos_ner.tar.xz, and the files of MNIST in a folder mnist. The image is read row by
row, the sentence word by word, by the same bidirectional LSTM. `data.mixture` draws from both sets;
a `Branch` keeps each half of the network from inputs that its set does not have.
"""

import keras
from helpers import comparison, two_inputs, words

from keras_mtl import data

LEFT, POS, LENGTH = two_inputs.LEFT, two_inputs.POS, two_inputs.LENGTH
UNITS = 64


def rows_of_images():
    """Builds the features of the 28 rows of an image, padded to the length of a sentence."""
    image = keras.Input((28, 28, 1))
    rows = keras.layers.Rescaling(1 / 255)(keras.layers.Reshape((28, 28))(image))
    rows = keras.layers.Dense(UNITS, activation="relu")(rows)
    return keras.Model(image, keras.layers.ZeroPadding1D((0, LENGTH - 28))(rows))


def embedded_words():
    """Builds the features of the words of a sentence."""
    numbers = keras.Input((LENGTH,), dtype="int64")
    embed = keras.layers.Embedding(two_inputs.WORDS, UNITS)
    return keras.Model(numbers, embed(numbers))


def build(tasks):
    """Builds a network whose inputs may be of either kind, with the heads of these tasks."""
    features, inputs = [], {}
    if LEFT in tasks:
        inputs["image"] = keras.Input((28, 28, 1), name="image")
        features.append(data.Branch(rows_of_images())(inputs["image"]))
    if POS in tasks:
        inputs["words"] = keras.Input((LENGTH,), dtype="int64", name="words")
        features.append(data.Branch(embedded_words())(inputs["words"]))
    both = keras.layers.Add()(features) if len(features) > 1 else features[0]
    both = words.bidirectional(UNITS)(both)  # (batch, LENGTH, 2 UNITS)
    of_task = {"left": keras.layers.GlobalMaxPooling1D()(both), "pos": both}
    return keras.Model(inputs, {task.name: task.output(of_task[task.name]) for task in tasks})


def main(options):
    train, test = two_inputs.load(options)

    def run(chosen):
        sets = {task.name: train[task.name].batch(options.batch_size) for task in chosen}
        mixed = data.mixture(sets, chosen, sampling="round_robin", until="first")
        network = comparison.fit(build(chosen), chosen, mixed, options)
        return two_inputs.accuracies(network, test, chosen)

    variants = {
        "one for each task": lambda: run([LEFT]) | run([POS]),
        "one body": lambda: run([LEFT, POS]),
    }
    return comparison.table(variants, options)


if __name__ == "__main__":
    parser = comparison.parser(__doc__, epochs=4, learning_rate=2e-3)
    parser.add_argument("--images", type=int, default=12_500, help="images of the training part")
    main(comparison.parse(parser))
