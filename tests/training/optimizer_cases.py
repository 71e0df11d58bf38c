"""Optimizers and layers that change a step, and the same steps computed in NumPy."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import keras
import numpy as np
import small_problem as problem
import tensorflow as tf
from keras import layers, optimizers
from small_problem import Array, Arrays, Batch, Row

import keras_mtl as mtl
from keras_mtl._types import Optimizer

Clip: TypeAlias = Callable[[Row], Row]

NAMES = ["z", "b", "r"]
RATE, EPSILON = 0.02, 1e-3


class ByHand:
    """Computes SGD or Adam, with the options that Keras adds to them, on arrays in float64.

    Args:
        adam: Whether to compute Adam instead of SGD.
        clip: Clips the gradients, a list with one array per variable.
        accumulate: Number of steps whose mean gradient makes one update.
        ema: Momentum of the moving averages of the variables; `None` for no averages.
        every: Number of steps after which the averages overwrite the variables; `None` for never.
    """

    def __init__(
        self,
        adam: bool = False,
        clip: Clip = lambda gradients: gradients,
        accumulate: int = 1,
        ema: float | None = None,
        every: int | None = None,
    ) -> None:
        self.adam, self.clip, self.accumulate = adam, clip, accumulate
        self.ema, self.every = ema, every
        self.steps, self.updates = 0, 0
        self.waiting: list[Row] = []
        self.moments: list[tuple[Array, Array]] = []
        self.averages: Row = []

    def step(self, values: Row, gradients: Row) -> Row:
        """Returns the values of the variables after one more step."""
        self.steps += 1
        self.waiting.append(gradients)
        if len(self.waiting) == self.accumulate:
            mean = [np.mean(of_steps, axis=0) for of_steps in zip(*self.waiting, strict=True)]
            self.waiting = []
            moves = self.move(self.clip(mean))
            values = [v - RATE * m for v, m in zip(values, moves, strict=True)]
        return self.averaged(values, self.ema) if self.ema else values

    def move(self, gradients: Row) -> Row:
        """Returns the update of each variable, in units of the learning rate."""
        if not self.adam:
            return gradients
        self.updates += 1
        old = self.moments or [(np.zeros_like(g), np.zeros_like(g)) for g in gradients]
        pairs = zip(old, gradients, strict=True)
        self.moments = [(0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g) for (m, v), g in pairs]
        correction = np.sqrt(1 - 0.999**self.updates) / (1 - 0.9**self.updates)
        return [correction * m / (np.sqrt(v) + EPSILON) for m, v in self.moments]

    def averaged(self, values: Row, momentum: float) -> Row:
        """Updates the averages; returns them in steps in which they overwrite the values."""
        old = self.averages or values
        self.averages = [
            momentum * a + (1 - momentum) * v for a, v in zip(old, values, strict=True)
        ]
        return self.averages if self.every and self.steps % self.every == 0 else values


Groups: TypeAlias = Sequence[tuple[Callable[[keras.Variable], bool], ByHand]]
"""Pairs: whether a variable belongs to the group, and the optimizer of the group."""


def by_norm(limit: float) -> Clip:
    """Returns a function that clips each gradient by its own norm."""
    return lambda gradients: [g * (limit / max(limit, float(np.linalg.norm(g)))) for g in gradients]


def by_global_norm(limit: float) -> Clip:
    """Returns a function that clips all gradients together by their joint norm."""

    def clip(gradients: Row) -> Row:
        norm = np.sqrt(sum((g**2).sum() for g in gradients))
        return [g * (limit / max(limit, norm)) for g in gradients]

    return clip


def sgd(**options: Any) -> Optimizer:
    return optimizers.SGD(RATE, **options)


def adam(**options: Any) -> Optimizer:
    return optimizers.Adam(RATE, epsilon=EPSILON, **options)


def of_towers(inner: Optimizer, outer: Optimizer) -> Optimizer:
    """Returns an optimizer that is `inner` for the tower of `z` and `outer` for the rest."""
    return optimizers.MultiOptimizer(optimizers.OptimizerMap(outer, {"z_.*": inner}))


def is_of_tower(variable: keras.Variable) -> bool:
    return bool(variable.path.startswith("z_"))


def only(optimizer: ByHand) -> Groups:
    """Returns the groups of one optimizer for all variables."""
    return [(lambda variable: True, optimizer)]


# For each case, how to make the optimizer of Keras, and how to make the groups of the same by hand.
CASES: dict[str, tuple[Callable[[], Optimizer], Callable[[], Groups]]] = {
    "clipnorm": (lambda: adam(clipnorm=0.1), lambda: only(ByHand(True, by_norm(0.1)))),
    "global_clipnorm": (
        lambda: adam(global_clipnorm=0.2),
        lambda: only(ByHand(True, by_global_norm(0.2))),
    ),
    "clipvalue": (
        lambda: sgd(clipvalue=0.02),
        lambda: only(ByHand(clip=lambda gradients: [np.clip(g, -0.02, 0.02) for g in gradients])),
    ),
    "ema": (
        lambda: adam(use_ema=True, ema_momentum=0.7),
        lambda: only(ByHand(True, ema=0.7)),
    ),
    "ema overwrites": (
        lambda: adam(use_ema=True, ema_momentum=0.7, ema_overwrite_frequency=2),
        lambda: only(ByHand(True, ema=0.7, every=2)),
    ),
    "accumulation": (
        lambda: adam(gradient_accumulation_steps=2),
        lambda: only(ByHand(True, accumulate=2)),
    ),
    "clipped accumulation": (
        lambda: sgd(gradient_accumulation_steps=2, global_clipnorm=0.2),
        lambda: only(ByHand(clip=by_global_norm(0.2), accumulate=2)),
    ),
    "an optimizer a tower": (
        lambda: of_towers(adam(), sgd()),
        lambda: [(is_of_tower, ByHand(True)), (lambda v: not is_of_tower(v), ByHand())],
    ),
    "clipped towers": (
        lambda: of_towers(adam(clipnorm=0.1), sgd(global_clipnorm=0.2)),
        lambda: [
            (is_of_tower, ByHand(True, by_norm(0.1))),
            (lambda v: not is_of_tower(v), ByHand(clip=by_global_norm(0.2))),
        ],
    ),
    "normalized": (
        lambda: adam(global_clipnorm=0.5),
        lambda: only(ByHand(True, by_global_norm(0.5))),
    ),
    "normalized and dropped": (lambda: sgd(), lambda: only(ByHand())),
}
# Cases that fail in Keras on several replicas, and are refused there.
ON_ONE_DEVICE = (
    "ema overwrites",
    "accumulation",
    "clipped accumulation",
    "clipped towers",
    "normalized and dropped",  # dropout draws another mask on each replica
)


def network(case: str) -> keras.Model:
    if "normalized" not in case:
        return problem.network()
    drop = "dropped" in case
    keras.utils.set_random_seed(0)
    x = keras.Input((4,))
    h = layers.Dense(16, activation="tanh", name="shared_0")(x)
    h = layers.BatchNormalization(momentum=0.6, name="shared_normal")(h)
    h = layers.Dropout(0.3, seed=5, name="shared_dropout")(h) if drop else h
    h = layers.Dense(16, activation="tanh", name="shared_1")(h)
    outputs = {}
    for task in problem.tasks():
        tower = layers.Dense(8, name=f"{task.name}_tower")(h)
        tower = layers.BatchNormalization(momentum=0.6, name=f"{task.name}_normal")(tower)
        if drop:
            tower = layers.Dropout(0.3, seed=7, name=f"{task.name}_dropout")(tower)
        outputs[task.name] = task.output(tower)
    return keras.Model(x, outputs)


def batches(last: int = 7) -> list[Batch]:
    """Returns four batches, and a fifth of `last` rows, which replicas cannot share evenly."""
    x, y, w = problem.batch(4)
    short = keras.tree.map_structure(lambda value: value[:last], (x, y, w))
    return [*[problem.batch(index) for index in range(4)], short]


def dataset() -> tf.data.Dataset:
    rows = 4 * problem.BATCH + 7
    arrays = keras.tree.map_structure(lambda value: value[:rows], problem.arrays())
    return tf.data.Dataset.from_tensor_slices(arrays).batch(problem.BATCH)


def variables_by_hand(case: str) -> Arrays:
    """Computes the values of all variables after training, by path, with a tape and NumPy."""
    model, groups = network(case), CASES[case][1]()
    for batch in batches():
        gradients = gradients_by_hand(model, *batch)
        for belongs, optimizer in groups:
            variables = [v for v in model.trainable_variables if belongs(v)]
            of_group = [gradients[v.path] for v in variables]
            moved = optimizer.step([np.array(v, "float64") for v in variables], of_group)
            for variable, value in zip(variables, moved, strict=True):
                variable.assign(value)
    for belongs, optimizer in groups:
        if optimizer.ema:  # Keras ends `fit` with the averages
            variables = [v for v in model.trainable_variables if belongs(v)]
            for variable, value in zip(variables, optimizer.averages, strict=True):
                variable.assign(value)
    return by_path(model)


def by_path(model: keras.Model) -> Arrays:
    """Returns the values of all variables but the seeds of dropout.

    The path of a seed has a number that counts the layers of the whole process.
    """
    return {v.path: np.array(v) for v in model.variables if v.name != "seed_generator_state"}


def gradients_by_hand(model: keras.Model, x: Array, y: Arrays, w: Arrays) -> Arrays:
    """Computes the balanced gradient of every variable, with one backward pass per task."""
    variables = model.trainable_variables
    with tf.GradientTape(persistent=True) as tape:
        losses = problem.losses_by_hand(model(x, training=True), y, w)
        losses = [loss * task.weight for loss, task in zip(losses, problem.tasks(), strict=True)]
    rows = [tape.gradient(loss, [v.value for v in variables]) for loss in losses]
    active = [k for k, name in enumerate(NAMES) if w[name].sum() > 0]
    shared = [i for i, v in enumerate(variables) if v.path.startswith("shared")]
    jacobian = np.stack(
        [np.concatenate([np.ravel(rows[k][i]) for i in shared]) for k in active]
    ).astype("float64")
    of_active = mtl.balancers.MGDA().weigh(jacobian @ jacobian.T, np.ones(len(active)))
    weights = dict(zip(active, np.array(of_active, "float64"), strict=True))
    balanced: Arrays = {}
    for i, variable in enumerate(variables):
        terms = [
            (weights.get(k, 0.0) if i in shared else 1.0) * np.array(row[i], "float64")
            for k, row in enumerate(rows)
            if row[i] is not None
        ]
        balanced[variable.path] = sum(terms, np.zeros(variable.shape))
    return balanced


def train(case: str, **compiling: Any) -> Arrays:
    """Trains by `fit` and returns the values of all variables, by path."""
    # By hand, every optimizer takes every step; what rests is in test_resting.py.
    model = mtl.BalancedModel(network(case), problem.tasks(), mtl.balancers.MGDA(), absent="drift")
    model.compile(CASES[case][0](), **compiling)
    model.fit(dataset(), verbose=0)
    return by_path(model.network)


def check(actual: Arrays, expected: Arrays, tolerance: float = 1e-5) -> None:
    """Checks that variables agree up to `tolerance` times their largest entry (at least 1)."""
    assert set(actual) == set(expected)
    for path, value in expected.items():
        limit = tolerance * max(1, np.abs(value).max())
        np.testing.assert_allclose(actual[path], value, rtol=0, atol=limit, err_msg=path)
