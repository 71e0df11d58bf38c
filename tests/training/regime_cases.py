"""Each regime on a small problem with missing labels, under any balancer."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import rule_penalties
import small_problem as problem
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl.training import Adversarial, VirtualAdversarial

Case = tuple[keras.Model, list[mtl.Task], dict[str, Any], Any]
"""A network, its tasks, options of `BalancedModel`, and arrays of three batches."""

X, Y, W = problem.arrays()
ROWS = 3 * problem.BATCH


def _small(**options: Any) -> Case:
    return problem.network(), problem.tasks(), options, (X, Y, W)


def near() -> Case:
    """Keeps variables near old values."""
    network = problem.network()
    penalty = mtl.transfer.remember(network, None, problem.tasks(), rule="l2_sp", strength=0.5)
    return network, problem.tasks(), {"penalties": [penalty]}, (X, Y, W)


def marginal() -> Case:
    """Trains classes by labels of their groups."""
    tasks = [
        mtl.Task.multiclass("b", 3),
        mtl.Task.marginal("coarse", of="b", groups=[[0], [1, 2]]),
    ]
    keras.utils.set_random_seed(0)
    network = mtl.architectures.hard_sharing(keras.Input((4,)), tasks, shared=(16,), tower=(8,))
    labels = {"b": Y["b"], "coarse": (Y["b"] > 0).astype("int32")}
    return network, tasks, {}, (X, labels, {"b": W["b"], "coarse": W["r"]})


def generation() -> Case:
    """Predicts the next token, beside a class of the sequence."""
    tasks = [mtl.Task.generation("text", 7, metrics=()), mtl.Task.binary("z")]
    keras.utils.set_random_seed(0)
    tokens = keras.Input((5,), dtype="int32")
    features = keras.layers.Dense(8, activation="tanh", name="shared")(
        keras.layers.Embedding(7, 8, name="embedding")(tokens)
    )
    mean = keras.layers.GlobalAveragePooling1D()(features)
    outputs = {"text": tasks[0].output(features), "z": tasks[1].output(mean)}
    x = (np.abs(X[:, :1] * 10).astype("int32") + np.arange(5)) % 7
    weight = np.ones((len(x), 5), "float32") * W["b"][:, None]
    weight[:, 4] = 0.0
    labels = {"text": (x + 1) % 7, "z": Y["z"]}
    return keras.Model(tokens, outputs), tasks, {}, (x, labels, {"text": weight, "z": W["z"]})


def teachers() -> Case:
    """Learns from the predictions of another network, also where there are no labels."""
    teacher = problem.network()
    # The answers of an equal network have a gradient of rounding errors, which some rules scale up.
    teacher.set_weights([1.5 * values for values in teacher.get_weights()])
    tasks = problem.tasks()
    rows = tf.data.Dataset.from_tensor_slices((X, Y, W)).batch(len(X))
    rows = mtl.transfer.with_teachers(rows, dict.fromkeys("zb", teacher), tasks)
    x, y, w = keras.tree.map_structure(np.array, next(iter(rows)))
    taught = [task if task.name == "r" else mtl.transfer.taught(task) for task in tasks]
    return problem.network(), taught, {}, (x, y, w)


def reversal() -> Case:
    """Hides one task's labels from a shared body, whose overlap with others is penalized."""
    tasks = problem.tasks()
    keras.utils.set_random_seed(0)
    network = mtl.architectures.shared_private(
        keras.Input((4,)),
        tasks,
        shared=(16,),
        private=(8,),
        tower=(8,),
        adversary="b",
        orthogonality=1.0,
    )
    return network, tasks, {}, (X, Y, W)


CASES: dict[str, Callable[[], Case]] = {
    "flags": _small,
    "FGM": lambda: _small(prepare=Adversarial(0.3, name="hook")),
    "PGD": lambda: _small(prepare=Adversarial(0.3, norm="inf", steps=2, name="hook")),
    "VAT": lambda: _small(prepare=VirtualAdversarial(0.3, name="hook")),
    "rules": lambda: _small(penalties=rule_penalties.penalties()),
    "near": near,
    "marginal": marginal,
    "generation": generation,
    "teachers": teachers,
    "reversal": reversal,
}
BALANCERS = {
    "losses": mtl.balancers.Uncertainty,
    "Gramian": mtl.balancers.MGDA,
    "gradients": mtl.balancers.MConFIG,
}


def trained(name: str, kind: str, every: int = 1, **compiled: Any) -> mtl.BalancedModel:
    """Trains three steps of a regime under one kind of balancer."""
    network, tasks, options, arrays = CASES[name]()
    model = mtl.BalancedModel(network, tasks, BALANCERS[kind](), every=every, **options)
    model.compile(compiled.pop("optimizer", None) or keras.optimizers.SGD(0.05), **compiled)
    if name == "flags":
        first = network.get_layer("shared_0").variables
        kept = [v for v in network.variables if all(v is not other for other in first)]
        model.set_active(tasks=["z", "r"], variables=kept)
    if name == "near":  # moved away, so that the penalty has a gradient
        for variable in network.trainable_variables:
            variable.assign(1.1 * variable)
    arrays = keras.tree.map_structure(lambda array: array[:ROWS], arrays)
    dataset = tf.data.Dataset.from_tensor_slices(arrays).batch(problem.BATCH)
    model.fit(dataset, verbose=0)
    return model


def values(model: keras.Model) -> list[Any]:
    """Returns the values of the network and of what the balancer learns or keeps."""
    return [np.array(variable, "float64") for variable in model.network.trainable_variables]
