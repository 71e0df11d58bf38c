"""The network: one convolutional body over the words, and a head per task."""

import keras
from keras import ops

import keras_mtl as mtl
from keras_mtl import data

from .retrieval import UNITS, Bank
from .sources import LENGTH, SETS, WORDS

WIDTH = 64


def words_of(features):
    """Applies two gated convolutions, each added to what it reads."""
    for place in range(2):
        x = keras.layers.LayerNormalization(name=f"shared_norm_{place}")(features)
        both = keras.layers.Conv1D(2 * WIDTH, 3, padding="same", name=f"shared_conv_{place}")(x)
        gated = both[..., :WIDTH] * ops.sigmoid(both[..., WIDTH:])
        features = features + keras.layers.Dropout(0.2, name=f"shared_drop_{place}")(gated)
    return features


def build(tasks):
    """Builds the network of some of the tasks; without `answer` it reads the message alone."""
    inputs = {"words": keras.Input((LENGTH,), dtype="int64", name="words")}
    embed = keras.layers.Embedding(WORDS, WIDTH, name="shared_words")
    there = ops.expand_dims(ops.cast(inputs["words"] != 0, "float32"), -1)
    features = words_of(keras.layers.Dropout(0.3, name="shared_in")(embed(inputs["words"])))
    pooled = ops.max(features - 1e9 * (1 - there), axis=1)  # padding is not the largest
    outputs = {}
    for task in tasks:
        if task.name == "slots":
            outputs["slots"] = task.output(features)
        elif task.name == "answer":
            inputs["answer_words"] = keras.Input((LENGTH,), dtype="int64", name="answer_words")
            message = keras.layers.Dense(UNITS, name="answer_message")(pooled)
            vectors = [message, _answers(embed, inputs["answer_words"])]
            unit = keras.layers.UnitNormalization(name="answer_unit")
            outputs["answer"] = task.output(ops.concatenate([unit(v) for v in vectors], axis=-1))
        else:
            hidden = keras.layers.Dense(32, activation="relu", name=f"{task.name}_hidden")(pooled)
            outputs[task.name] = task.output(hidden)
    return keras.Model(inputs, outputs)


def _answers(embed, words):
    there = ops.expand_dims(ops.cast(words != 0, "float32"), -1)
    mean = ops.sum(embed(words) * there, axis=1) / ops.maximum(ops.sum(there, axis=1), 1.0)
    return keras.layers.Dense(UNITS, name="answer_bank")(mean)


def train(tasks, sets, epochs, balancer=None, batch_size=64):
    """Trains the network of some of the tasks on the sets that have labels of them."""
    names = {task.name for task in tasks}
    chosen = {
        name: data.select_tasks(sets[name], [task for task in tasks if task.name in SETS[name]])
        for name in sets
        if names & set(SETS[name])
    }
    stream = data.mixture(chosen, tasks, sampling="proportional", batch_size=batch_size)
    network = build(tasks)
    stream = stream.map(lambda x, y, w: ({name: x[name] for name in network.input}, y, w))
    model = mtl.BalancedModel(network, tasks, balancer or mtl.balancers.Equal())
    model.compile(keras.optimizers.Adam(2e-3))
    model.fit(stream, epochs=epochs, shuffle=False, verbose=0)
    return network


def vectors(network, words):
    """Returns the vectors of answers, from their numbers of words."""
    blank = {"words": ops.zeros_like(words), "answer_words": words}
    return network(blank, training=False)["answer"][:, UNITS:]


def serve(network, encoder, answers):
    """Builds the network that is served: text to all tasks, with the answers in a bank.

    For new answers, call this again with a longer list: nothing is trained.
    """
    bank = Bank(len(answers), name="answer")
    unit = network.get_layer("answer_unit")
    message = unit(network.get_layer("answer_message").output)
    outputs = {**network.output, "answer": bank(message)}
    bank.bank.assign(ops.transpose(vectors(network, encoder(ops.convert_to_tensor(answers)))))
    return data.with_preprocessing(encoder, keras.Model(network.input["words"], outputs))
