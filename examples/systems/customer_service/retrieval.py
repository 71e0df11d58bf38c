"""Choosing an answer: messages and answers as vectors, trained with the batch as negatives."""

import keras
from keras import ops

from keras_mtl import Task

UNITS, TEMPERATURE = 48, 0.1


def in_batch_negatives(answer, vectors):
    """Computes for each message how surprising its answer is among all answers of the batch.

    With the vectors m_i and a_j of messages and answers, each of length 1, and a temperature t:

        loss_i = -log(exp(m_i . a_i / t) / sum_j exp(m_i . a_j / t))

    Answers of other messages that are the same as its own are left out of the sum: they would be
    negatives that are right.

    Args:
        answer: Numbers of the answers, `(batch,)` or `(batch, 1)`.
        vectors: Messages beside answers, `(batch, 2 UNITS)`.
    """
    messages, answers = vectors[:, :UNITS], vectors[:, UNITS:]
    similar = ops.matmul(messages, ops.transpose(answers)) / TEMPERATURE  # (batch, batch)
    answer = ops.reshape(answer, (-1, 1))
    same = ops.cast(ops.equal(answer, ops.transpose(answer)), similar.dtype)
    diagonal = ops.eye(ops.shape(similar)[0], dtype=similar.dtype)
    similar = similar - 1e9 * (same - diagonal)
    right = ops.sum(similar * diagonal, axis=1)
    return ops.logsumexp(similar, axis=1) - right


IN_BATCH = Task("answer", head=lambda vectors: vectors, loss=in_batch_negatives, reads="batch")
"""The task of the answer; a message without one takes no part, also not as a negative."""


@keras.saving.register_keras_serializable(package="customer_service")
class Bank(keras.layers.Layer):
    """Holds the vectors of all answers, and returns the probability of each for a message."""

    def __init__(self, answers, **kwargs):
        super().__init__(**kwargs)
        self.answers = answers

    def build(self, shape):
        """Makes the bank, `(UNITS, answers)`, which training leaves as it is."""
        self.bank = self.add_weight(shape=(shape[-1], self.answers), trainable=False, name="bank")

    def call(self, messages):
        """Compares messages with all answers."""
        return ops.softmax(ops.matmul(messages, self.bank) / TEMPERATURE)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "answers": self.answers}
