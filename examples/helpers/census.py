"""The devices and the data of the quickstart."""

import tensorflow as tf

import keras_mtl as mtl
from keras_mtl import data, datasets

LONG_TAILED = ("capital_gains", "capital_losses", "dividends", "wage_per_hour")


def make_strategy(replicas):
    """Returns a strategy over the GPUs, or over virtual CPU devices if there are too few GPUs."""
    if replicas > 1 and len(tf.config.list_physical_devices("GPU")) < 2:
        devices = [tf.config.LogicalDeviceConfiguration()] * replicas
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, devices)
        return tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(replicas)])
    return mtl.training.strategy()


def prepare(options):
    """Returns the encoder of raw columns, the encoded batches by part, and raw test batches."""
    splits = {"train": "train[:30%]", "validation": "train[90%:]", "test": "test"}
    place = {"config": options.config, "data_dir": options.data_dir}
    raw = {
        part: datasets.census_income(split, batch_size=options.batch_size, **place)
        for part, split in splits.items()
    }
    encoder = data.tabular_encoder(raw["train"], log=LONG_TAILED, bins=48)
    sets = {
        part: batches.map(lambda columns, labels: (encoder(columns), labels))
        for part, batches in raw.items()
    }
    # One order for all epochs: every network, on any number of replicas, sees the same batches.
    rows = sets["train"].unbatch().shuffle(50_000, seed=0, reshuffle_each_iteration=False)
    sets["train"] = data.known_cardinality(rows.batch(options.batch_size, drop_remainder=True))
    return encoder, {part: batches.cache() for part, batches in sets.items()}, raw["test"]


def keep_few(batches, task, share):
    """Returns batches in which only a share of the rows, the same ones each time, has a label."""

    def mask(place, element):
        inputs, labels = element
        labels = {name: tf.cast(values, tf.float32) for name, values in labels.items()}
        shape = tf.shape(labels[task])
        draws = tf.random.stateless_uniform(shape, tf.stack([0, tf.cast(place, tf.int32)]))
        labels[task] = tf.where(draws < share, labels[task], float("nan"))
        return inputs, labels

    return batches.enumerate().map(mask).cache()
