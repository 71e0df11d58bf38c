"""Tasks that predict the next token of a sequence."""

from collections.abc import Sequence
from typing import Any, Self

from keras_mtl._tasks._base_task import BaseTask
from keras_mtl._tasks._factories._chosen_loss import Balance
from keras_mtl._tasks._factories._class_task import class_settings


class GenerationFactory(BaseTask):
    """Adds `Task.generation`."""

    @classmethod
    def generation(
        cls,
        name: str,
        vocabulary_size: int,
        *,
        metrics: Sequence[Any] = ("accuracy", "perplexity"),
        weight: float = 1.0,
    ) -> Self:
        """Builds a task that predicts the next token at each position of a sequence.

        The output `(batch, time, vocabulary_size)` is a distribution over the tokens; the features
        of the head are `(batch, time, units)`. The loss of a token is categorical cross-entropy,
        and the loss of the task its mean over the tokens that are there: those without padding,
        mask or missing label.

        Choose it to train a decoder by teacher forcing: a position reads the tokens before it as
        they are in the data, which `data.teacher_forcing` brings into that form, and the layers
        must not look ahead (`keras.layers.GRU`, or attention with `use_causal_mask=True`). Search
        for the most probable sequence is not part of this package: KerasHub has samplers, and for
        a few tokens a loop over `predict` is enough. For a label per token that is not the next
        token, use `tagging`.

        Args:
            name: Name of the task.
            vocabulary_size: The number of tokens, at least 2.
            metrics: Names or `keras.metrics.Metric` objects. Defaults to
                `("accuracy", "perplexity")`.
            weight: Multiplies the task's loss. Defaults to `1.0`.

        Returns:
            A `Task` whose labels are integers `(batch, time)` from 0 to `vocabulary_size - 1`.

        Raises:
            ValueError: If there are fewer than two tokens.

        Example:
            >>> from keras_mtl import Task
            >>> Task.generation("summary", 8000).labels.shape
            (None,)
        """
        if vocabulary_size < 2:
            raise ValueError(
                f"task {name!r}: vocabulary_size must be at least 2, not {vocabulary_size}."
            )
        settings = class_settings(
            name, Balance(vocabulary_size, None), label_shape=(None,), labels="integer", loss=None
        )
        return cls(name, metrics=metrics, weight=weight, **settings)
