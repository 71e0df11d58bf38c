"""Regularizers, and the losses that layers add in a forward pass, of the global batch."""

import contextlib
from collections.abc import Iterator, Sequence

import keras
import tensorflow as tf

from keras_mtl._replicas import Replicas, sums_of_loss
from keras_mtl._types import Tensor
from keras_mtl.training._optimizer import normalizations


class LayerLosses:
    """Holds the losses that the layers of a model have added in one forward pass.

    Args:
        model: The model.
        replicas: The replicas of the step.
    """

    def __init__(self, model: keras.Model, replicas: Replicas) -> None:
        self._model, self._replicas = model, replicas
        self._added: list[Tensor] = []
        self._regularizers: list[Tensor] = []

    @contextlib.contextmanager
    def collected(self) -> Iterator[None]:
        """Collects the losses of the forward pass inside of the context.

        A sum over replicas in the middle of the pass, as batch normalization takes it, lets the
        next replica call the same layers, which replaces their losses (docs/keras_notes.md,
        pain 79). There a scope of this replica collects them, and what layers assign is assigned
        after it.
        """
        if self._replicas.count > 1 and normalizations(self._model):
            with keras.StatelessScope(collect_losses=True) as scope:
                yield
            for variable in (*self._model.variables, *self._model.metrics_variables):
                value = scope.get_current_value(variable)
                if value is not None:
                    variable.assign(value)
            self._read([*scope.losses, *self._model.losses])
        else:
            yield
            self._read(self._model.losses)

    def _read(self, losses: Sequence[Tensor]) -> None:
        """Parts the losses of layers from regularizers of variables, which Keras puts last."""
        variables = self._model.trainable_weights
        count = len(losses) - sum(variable.regularizer is not None for variable in variables)
        self._added, self._regularizers = list(losses[:count]), list(losses[count:])

    def share(self, num_rows: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Returns this replica's share of all losses, and their value; `None` without any.

        The optimizer adds up the gradients of all replicas, so each of them takes a share. A loss
        that a layer adds is taken for a mean over rows, so that a replica with more rows has a
        larger share; one of `add_loss_of_sums` is that of the sums over all replicas.

        Args:
            num_rows: The number of rows on this replica.
        """
        replicas, added, regularizers = self._replicas, self._added, self._regularizers
        if not added and not regularizers:
            return None, None
        if replicas.count == 1 or not added:
            share = replicas.share(tf.add_n(_scalars([*added, *regularizers])))
            return share, share * replicas.count
        shares = [replicas.share(loss) for loss in _scalars(regularizers)]
        means = [loss for loss in added if sums_of_loss(loss) is None]
        here = tf.cast(num_rows, tf.float32)
        part = here / replicas.sum(here)
        # The mean over no rows is no number.
        shares += [tf.where(here > 0.0, loss * part, 0.0) for loss in _scalars(means)]
        for value_of, sums in filter(None, map(sums_of_loss, added)):
            value = value_of(*replicas.sum(list(sums)))
            shares.append(replicas.share(tf.cast(value, tf.float32)))
        share = tf.add_n(shares)
        return share, replicas.sum(tf.stop_gradient(share))


def _scalars(losses: Sequence[Tensor]) -> list[Tensor]:
    """Returns losses as float32 scalars; each may have a dtype of its own, and several entries."""
    return [tf.reduce_sum(tf.cast(loss, tf.float32)) for loss in losses]
