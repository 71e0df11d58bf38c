"""Each regime on a small problem with missing labels, under any balancer."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import modulated_problem
import numpy as np
import rule_penalties
import small_problem as problem
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl.training import Adversarial, Backup, GradientModulation, VirtualAdversarial
from keras_mtl.unlabeled import Consistency, PseudoLabels

Case = tuple[keras.Model, list[mtl.Task], dict[str, Any], Any]
"""A network, its tasks, options of `BalancedModel`, and arrays of three batches."""

X, Y, W = problem.arrays()
ROWS = 3 * problem.BATCH


def _small(**options: Any) -> Case:
    return problem.network(), problem.tasks(), options, (X, Y, W)


def _shifted(threshold: float | None = None) -> Consistency:
    """Keeps predictions the same where inputs are shifted, without a draw."""
    change = keras.layers.Rescaling(1.3, offset=0.2)
    return Consistency(change, 2.0, threshold=threshold, name="hook")


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


def game() -> Case:
    """Hides an adversary from the balancer too."""
    network, tasks, _, arrays = reversal()
    return network, tasks, {"unbalanced": ["b"]}, arrays


def modulation(noise: bool) -> Case:
    """Slows down the encoder of the modality that is ahead."""
    modulate = GradientModulation(modulated_problem.ENCODERS, alpha=0.5, noise=noise)
    options = {"modulate": modulate}
    return modulated_problem.network(), problem.tasks(), options, (X, Y, W)


def modalities(fusion: Any) -> Case:
    """Joins two modalities, each of which is missing in a third of the rows, and none in both."""
    tasks = problem.tasks()
    keras.utils.set_random_seed(0)
    inputs = {side: keras.Input((2,), name=side) for side in ("left", "right")}
    inputs |= {f"{side}_present": keras.Input((), name=f"{side}_present") for side in inputs}
    network = mtl.architectures.multimodal(
        inputs, tasks, encoders=dict.fromkeys(("left", "right"), (8,)), fusion=fusion, tower=(8,)
    )
    place = np.arange(len(X)) % 3
    flags = {"left_present": place != 0, "right_present": place != 1}
    x = {"left": X[:, :2], "right": X[:, 2:]}
    x |= {name: there.astype("float32") for name, there in flags.items()}
    return network, tasks, {}, (x, Y, W)


CASES: dict[str, Callable[[], Case]] = {
    "flags": _small,
    "FGM": lambda: _small(prepare=Adversarial(0.3, name="hook")),
    "PGD": lambda: _small(prepare=Adversarial(0.3, norm="inf", steps=2, name="hook")),
    "VAT": lambda: _small(prepare=VirtualAdversarial(0.3, name="hook")),
    "pseudo-labels": lambda: _small(prepare=PseudoLabels(0.55, weight=0.5, name="hook")),
    "consistency": lambda: _small(prepare=_shifted()),
    "fixmatch": lambda: _small(prepare=_shifted(threshold=0.55)),
    "monotonic": lambda: _small(
        prepare=mtl.rules.monotonic("z", {0: 1, 2: -1}, step=0.1, strength=2.0, name="hook")
    ),
    "rules": lambda: _small(penalties=rule_penalties.penalties()),
    "near": near,
    "marginal": marginal,
    "generation": generation,
    "teachers": teachers,
    "reversal": reversal,
    "game": game,
    "gated": lambda: modalities("gated"),
    "bottleneck": lambda: modalities("bottleneck"),
    "modulation": lambda: modulation(noise=False),
    "noisy modulation": lambda: modulation(noise=True),
}
BALANCERS = {
    "losses": mtl.balancers.Uncertainty,
    "Gramian": mtl.balancers.MGDA,
    "gradients": mtl.balancers.MConFIG,
}


def adamw() -> keras.optimizers.Optimizer:
    """Returns AdamW with an epsilon that keeps it from making steps of rounding errors."""
    return keras.optimizers.AdamW(0.01, weight_decay=0.1, epsilon=1e-3)


def compiled(
    name: str, kind: str, every: int = 1, **options: Any
) -> tuple[mtl.BalancedModel, tf.data.Dataset]:
    """Builds and compiles the model of a regime; returns it with three batches."""
    network, tasks, of_regime, arrays = CASES[name]()
    model = mtl.BalancedModel(network, tasks, BALANCERS[kind](), every=every, **of_regime)
    model.compile(options.pop("optimizer", None) or keras.optimizers.SGD(0.05), **options)
    arrays = keras.tree.map_structure(lambda array: array[:ROWS], arrays)
    return model, tf.data.Dataset.from_tensor_slices(arrays).batch(problem.BATCH)


def begin(model: mtl.BalancedModel, name: str) -> None:
    """Brings a new model into the state in which its regime begins."""
    network = model.network
    if name == "flags":
        first = network.get_layer("shared_0").variables
        kept = [v for v in network.variables if all(v is not other for other in first)]
        model.set_active(tasks=["z", "r"], variables=kept)
    if name == "near":  # moved away, so that the penalty has a gradient
        for variable in network.trainable_variables:
            variable.assign(1.1 * variable)


def trained(name: str, kind: str, every: int = 1, **options: Any) -> mtl.BalancedModel:
    """Trains three steps of a regime under one kind of balancer."""
    model, dataset = compiled(name, kind, every, **options)
    begin(model, name)
    model.fit(dataset, verbose=0)
    return model


class Killed(Exception):
    """Ends a training in the middle."""


class Killer(keras.callbacks.Callback):
    """Ends a training in its second epoch, after the third step."""

    epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Remembers the epoch."""
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Ends the training."""
        if (self.epoch, batch) == (1, 2):
            raise Killed


def backed_up(name: str, kind: str, folder: Path, *, kill: bool = False) -> mtl.BalancedModel:
    """Trains two epochs by AdamW with a backup after each second step.

    A model that goes on is told nothing of its regime that the backup holds.
    """
    model, dataset = compiled(name, kind, 2, optimizer=adamw(), run_eagerly=True)
    if not folder.exists():
        begin(model, name)
    callbacks = [Backup(folder, every=2)] + ([Killer()] if kill else [])
    model.fit(dataset, epochs=2, callbacks=callbacks, shuffle=False, verbose=0)
    return model


def values(model: keras.Model) -> list[Any]:
    """Returns the values of the network, without the biases of keys.

    Attention does not see these: their gradient is rounding errors, which some rules scale up.
    """
    trained = model.network.trainable_variables
    return [np.array(v, "float64") for v in trained if not v.path.endswith("key/bias")]


def all_values(model: keras.Model) -> list[Any]:
    """Returns all numbers of a model, of what it keeps beside the network, and of the optimizer."""
    return [np.array(variable) for variable in (*model.variables, *model.optimizer.variables)]
