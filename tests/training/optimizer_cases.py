"""Optimizers and layers that change what a step does, and the same steps in NumPy."""

import keras
import numpy as np
import small_problem as problem
import tensorflow as tf
from keras import layers, optimizers

import keras_mtl as mtl

NAMES = ["z", "b", "r"]
RATE, EPSILON = 0.02, 1e-3


class ByHand:
    """SGD or Adam with all that Keras adds to them, on arrays in float64."""

    def __init__(self, adam=False, clip=lambda rows: rows, accumulate=1, ema=None, every=None):
        self.adam, self.clip, self.accumulate = adam, clip, accumulate
        self.ema, self.every, self.averages = ema, every, None
        self.waiting, self.count, self.updates, self.moments = [], 0, 0, None

    def step(self, values, gradients):
        self.count += 1
        self.waiting.append(gradients)
        if len(self.waiting) == self.accumulate:
            mean = [np.mean(each, axis=0) for each in zip(*self.waiting, strict=True)]
            self.waiting = []
            moves = self.move(self.clip(mean))
            values = [v - RATE * m for v, m in zip(values, moves, strict=True)]
        return self.averaged(values) if self.ema else values

    def move(self, gradients):
        if not self.adam:
            return gradients
        self.updates += 1
        old = self.moments or [(0.0, 0.0)] * len(gradients)
        pairs = zip(old, gradients, strict=True)
        self.moments = [(0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g) for (m, v), g in pairs]
        correction = np.sqrt(1 - 0.999**self.updates) / (1 - 0.9**self.updates)
        return [correction * m / (np.sqrt(v) + EPSILON) for m, v in self.moments]

    def averaged(self, values):
        old = self.averages or values
        self.averages = [
            self.ema * a + (1 - self.ema) * v for a, v in zip(old, values, strict=True)
        ]
        return self.averages if self.every and self.count % self.every == 0 else values


def by_norm(limit):
    return lambda rows: [row * (limit / max(limit, np.linalg.norm(row))) for row in rows]


def by_global_norm(limit):
    def clip(rows):
        norm = np.sqrt(sum((row**2).sum() for row in rows))
        return [row * (limit / max(limit, norm)) for row in rows]

    return clip


def sgd(**options):
    return optimizers.SGD(RATE, **options)


def adam(**options):
    return optimizers.Adam(RATE, epsilon=EPSILON, **options)


def of_towers(inner, outer):
    return optimizers.MultiOptimizer(optimizers.OptimizerMap(outer, {"z_.*": inner}))


def is_of_tower(variable):
    return variable.path.startswith("z_")


def only(optimizer):
    """One optimizer for everything: who gets which variable, and the optimizer."""
    return [(lambda variable: True, optimizer)]


# How to make the Keras optimizer, and what it does by hand, for which variables.
CASES = {
    "clipnorm": (lambda: adam(clipnorm=0.1), lambda: only(ByHand(True, by_norm(0.1)))),
    "global_clipnorm": (
        lambda: adam(global_clipnorm=0.2),
        lambda: only(ByHand(True, by_global_norm(0.2))),
    ),
    "clipvalue": (
        lambda: sgd(clipvalue=0.02),
        lambda: only(ByHand(clip=lambda rows: [np.clip(row, -0.02, 0.02) for row in rows])),
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
# Those that fail in Keras on several replicas, and are refused there.
ON_ONE_DEVICE = (
    "ema overwrites",
    "accumulation",
    "clipped accumulation",
    "clipped towers",
    "normalized and dropped",  # by other masks on each replica
)


def network(case):
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


def batches(last=7):
    """Four batches, and the beginning of a fifth that does not divide evenly."""
    x, y, w = problem.batch(4)
    short = keras.tree.map_structure(lambda value: value[:last], (x, y, w))
    return [*[problem.batch(index) for index in range(4)], short]


def dataset():
    rows = 4 * problem.BATCH + 7
    arrays = keras.tree.map_structure(lambda value: value[:rows], problem.arrays())
    return tf.data.Dataset.from_tensor_slices(arrays).batch(problem.BATCH)


def variables_by_hand(case):
    """What training leaves in the variables of the network, by name, from a tape and NumPy."""
    model, groups = network(case), CASES[case][1]()
    for batch in batches():
        gradients = gradients_by_hand(model, *batch)
        for mine, optimizer in groups:
            variables = [v for v in model.trainable_variables if mine(v)]
            rows = [gradients[v.path] for v in variables]
            moved = optimizer.step([np.array(v, "float64") for v in variables], rows)
            for variable, value in zip(variables, moved, strict=True):
                variable.assign(value)
    for mine, optimizer in groups:
        if optimizer.ema:  # Keras ends `fit` with the averages
            variables = [v for v in model.trainable_variables if mine(v)]
            for variable, value in zip(variables, optimizer.averages, strict=True):
                variable.assign(value)
    return by_path(model)


def by_path(model):
    """All variables but the seeds of dropout, whose paths count layers of the whole process."""
    return {v.path: np.array(v) for v in model.variables if v.name != "seed_generator_state"}


def gradients_by_hand(model, x, y, w):
    """The balanced gradient of every variable, from one forward pass and a pass a task."""
    variables = model.trainable_variables
    with tf.GradientTape(persistent=True) as tape:
        losses = problem.losses_by_hand(model(x, training=True), y, w)
        losses = [loss * task.weight for loss, task in zip(losses, problem.tasks(), strict=True)]
    rows = [tape.gradient(loss, [v.value for v in variables]) for loss in losses]
    present = [k for k, name in enumerate(NAMES) if w[name].sum() > 0]
    shared = [i for i, v in enumerate(variables) if v.path.startswith("shared")]
    jacobian = np.stack(
        [np.concatenate([np.ravel(rows[k][i]) for i in shared]) for k in present]
    ).astype("float64")
    of_present = mtl.balancers.MGDA().weigh(jacobian @ jacobian.T, np.ones(len(present)))
    weights = dict(zip(present, np.array(of_present, "float64"), strict=True))
    found = {}
    for i, variable in enumerate(variables):
        terms = [
            (weights.get(k, 0.0) if i in shared else 1.0) * np.array(row[i], "float64")
            for k, row in enumerate(rows)
            if row[i] is not None
        ]
        found[variable.path] = sum(terms)
    return found


def train(case, **compiling):
    """The same by `fit`."""
    model = mtl.BalancedModel(network(case), problem.tasks(), mtl.balancers.MGDA())
    model.compile(CASES[case][0](), **compiling)
    model.fit(dataset(), verbose=0)
    return by_path(model.network)


def check(found, expected, tolerance=1e-5):
    assert set(found) == set(expected)
    for path, value in expected.items():
        limit = tolerance * max(1, np.abs(value).max())
        np.testing.assert_allclose(found[path], value, rtol=0, atol=limit, err_msg=path)
