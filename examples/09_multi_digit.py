"""Two digits in one image, the left and the right one, on one convolutional trunk.

python examples/09_multi_digit.py                                         # made-up images
python examples/09_multi_digit.py --data-dir FOLDER --seeds 3             # files of MNIST
python examples/09_multi_digit.py --data-dir FOLDER --clothes --seeds 3   # of Fashion-MNIST
"""

import keras
from helpers import comparison, scores, small_data

from keras_mtl import architectures, balancers, datasets


def trunk(images):
    """Applies two convolutions and a dense layer."""
    x = keras.layers.Rescaling(1 / 255, name="shared_scale")(images)
    for units in (16, 32):
        x = keras.layers.Conv2D(units, 5, activation="relu", name=f"shared_conv_{units}")(x)
        x = keras.layers.MaxPooling2D(name=f"shared_pool_{units}")(x)
    x = keras.layers.Flatten(name="shared_flat")(x)
    x = keras.layers.Dense(256, activation="relu", name="shared_dense")(x)
    return keras.layers.Dropout(0.3, name="shared_dropout")(x)


def build(tasks):
    """Builds a tower of 64 units per task on one trunk."""
    inputs = keras.Input((28, 28, 1))
    return architectures.hard_sharing(inputs, tasks, shared=trunk, tower=(64,))


def main(options):
    load = datasets.multi_fashion if options.clothes else datasets.multi_mnist
    tasks = datasets.multi_mnist_tasks()
    split, rest = ("train[90%:]", "train[:90%]") if options.validate else ("test", "train")
    with comparison.files(options, small_data.write_digits) as place:
        train = comparison.shuffled(load(rest, **place).batch(1000), options)
        x, y = comparison.arrays(load(split, **place).batch(1000))

        def run(chosen, balancer=None):
            model = comparison.fit(build(chosen), chosen, train, options, balancer)
            predicted = model.predict(x, batch_size=1000, verbose=0)
            return {
                f"{task.name} accuracy": scores.accuracy(y[task.name], predicted[task.name])
                for task in chosen
            }

        variants = {
            "one for each task": lambda: run(tasks[:1]) | run(tasks[1:]),
            "hard sharing": lambda: run(tasks),
            "hard sharing, MGDA": lambda: run(tasks, balancers.MGDA()),
        }
        return comparison.table(variants, options)


if __name__ == "__main__":
    parser = comparison.parser(__doc__, epochs=6, batch_size=128)
    parser.add_argument("--clothes", action="store_true", help="Fashion-MNIST")
    parser.add_argument("--validate", action="store_true", help="score 10 %% of the training part")
    main(comparison.parse(parser))
