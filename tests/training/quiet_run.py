"""Trains, evaluates, predicts, saves, loads and exports as users do, with warnings as errors.

The argument is the name of a balancer. TensorFlow warns of functions that are traced again and
again through `logging`; the last line of the output counts its messages.
"""

import logging
import sys
import tempfile
import warnings

import door_cases as door
import keras
import numpy as np
import tensorflow as tf

import keras_mtl as mtl


class Counter(logging.Handler):
    """Keeps the messages of TensorFlow and Keras from warnings upwards."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def use(model: mtl.BalancedModel) -> None:
    """Calls everything that takes data, with data of every kind and of several sizes."""
    batches = door.cut((door.X, door.Y, door.W))
    dataset = door.as_dataset(batches)
    short = tf.data.Dataset.from_tensor_slices((door.X, door.Y)).batch(7)
    model.fit(door.X, door.Y, sample_weight=door.W, batch_size=5, epochs=2, verbose=0)
    model.fit(door.X, door.Y, validation_split=0.25, verbose=0)
    for data in (dataset, short, door.Batches(batches), door.Batches(batches, workers=2)):
        model.fit(data, validation_data=short, verbose=0)
        model.evaluate(data, return_dict=True, verbose=0)
        model.predict(data, verbose=0)
    model.fit(door.generator(batches), steps_per_epoch=4, verbose=0)
    model.fit(
        short.repeat(), steps_per_epoch=2, validation_data=short, validation_steps=1, verbose=0
    )
    for rows in (3, 8, 16):
        model.evaluate(door.X[:rows], {k: y[:rows] for k, y in door.Y.items()}, verbose=0)
        model.predict(door.X[:rows], verbose=0)
    for batch in batches:
        model.train_on_batch(*batch)
        model.test_on_batch(*batch)
        model.predict_on_batch(batch[0])


def main() -> None:
    warnings.simplefilter("error")
    # Keras saves variables in this way; see setup.cfg.
    warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
    counter = Counter()
    for name in ("tensorflow", "absl", "py.warnings"):
        logging.getLogger(name).addHandler(counter)
    balancer = getattr(mtl.balancers, sys.argv[1])()
    model = mtl.BalancedModel(door.dense(), door.tasks(), balancer)
    model.compile("adam")
    use(model)
    folder = tempfile.mkdtemp()
    model.save(f"{folder}/model.keras")
    model.save_weights(f"{folder}/model.weights.h5")
    loaded = keras.saving.load_model(f"{folder}/model.keras")
    loaded.load_weights(f"{folder}/model.weights.h5")
    loaded.fit(door.X, door.Y, verbose=0)
    expected = model.predict(door.X, verbose=0)
    served = tf.saved_model.load(mtl.export.saved_model(model, door.tasks(), f"{folder}/m/1"))
    answer = served.signatures["serving_default"](table=tf.constant(door.X))
    np.testing.assert_allclose(answer["b"], expected["b"], atol=1e-6)
    print(*counter.messages, sep="\n")
    print(f"messages: {len(counter.messages)}")


if __name__ == "__main__":
    main()
