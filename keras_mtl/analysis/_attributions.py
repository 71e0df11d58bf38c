"""What each input adds to the predictions of each task."""

import dataclasses

import numpy as np

from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis._printing._tables import format_number, format_table

_MAX_INPUTS = 20  # in the text
_MAX_TASKS = 10


@dataclasses.dataclass(frozen=True)
class Attributions:
    """Holds what each input adds to the numbers of K tasks in each row. `print` shows the means.

    Args:
        tasks: The names of the K tasks.
        inputs: The names of the inputs: columns of tables by themselves, images and texts whole.
        attributions: By task and input, `[rows]` for a column, `[rows, tokens]` for the ids of a
            text, and the shape of the input for all others, in the unit of the task's number.
        numbers: By task, the explained number of each row, `[rows]`: the logit, the number in the
            task's scale, or the prediction itself where the network shows neither.
        baselines: By task, the number at the baseline, of several their mean, `[rows]`. (The class
            that is explained, and masks, are those of the row.)
        errors: By task and row, the difference between the sum of all attributions and that of
            `numbers` and `baselines`, which it is exactly on an infinitely fine path.
        kinds: By task, what is explained: `"logit"`, `"scaled number"` or `"prediction"`.

    Example:
        >>> import keras
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.regression("sum"), mtl.Task.regression("first")]
        >>> inputs = keras.Input((2,), name="x")
        >>> dense = [keras.layers.Dense(1, name=task.name) for task in tasks]
        >>> network = keras.Model(inputs, {layer.name: layer(inputs) for layer in dense})
        >>> dense[0].set_weights([np.ones((2, 1)), np.zeros(1)])
        >>> dense[1].set_weights([np.eye(2, 1), np.zeros(1)])
        >>> rows = np.array([[1.0, 2.0]])
        >>> print(mtl.analysis.integrated_gradients(network, rows, tasks, baseline=0.0))
        mean |attribution|  sum  first  contrast
        x/0                   1      1     0.333
        x/1                   2      0     0.333
        from 1 rows, largest error 0
    """

    tasks: tuple[str, ...]
    inputs: tuple[str, ...]
    attributions: dict[str, dict[str, FloatArray]]
    numbers: dict[str, FloatArray]
    baselines: dict[str, FloatArray]
    errors: dict[str, FloatArray]
    kinds: dict[str, str]

    @property
    def importance(self) -> FloatArray:
        """The mean over rows of the size of what an input adds in all, `[inputs, K]`."""
        values = [
            [
                np.abs(of_input.reshape(len(of_input), -1).sum(axis=1)).mean()
                for of_input in (self.attributions[task][name] for task in self.tasks)
            ]
            for name in self.inputs
        ]
        return np.array(values, np.float64)

    @property
    def contrast(self) -> FloatArray:
        """How much an input serves one task more than the others, `[inputs]`.

        With the shares of the inputs in the importance for a task, the largest share minus the
        median over tasks. It is 0 with one task.
        """
        importance = self.importance
        sums = importance.sum(axis=0)
        shares = np.divide(importance, sums, out=np.zeros_like(importance), where=sums > 0)
        return np.asarray(shares.max(axis=1) - np.median(shares, axis=1))

    def __str__(self) -> str:
        importance, contrast = self.importance, self.contrast
        tasks = self.tasks[:_MAX_TASKS]
        order = np.argsort(-contrast, kind="stable")[:_MAX_INPUTS]
        table = [
            [
                self.inputs[i],
                *map(format_number, importance[i, : len(tasks)].tolist()),
                format_number(float(contrast[i])),
            ]
            for i in order
        ]
        lines = [format_table(["mean |attribution|", *tasks, "contrast"], table)]
        if len(self.inputs) > len(order) or len(self.tasks) > len(tasks):
            lines.append(f"... {len(self.inputs)} inputs, {len(self.tasks)} tasks; see .importance")
        error = max(float(values.max()) for values in self.errors.values())
        rows = len(next(iter(self.errors.values())))
        lines.append(f"from {rows} rows, largest error {format_number(error)}")
        return "\n".join(lines)
