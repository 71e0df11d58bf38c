"""Cost of experts computed together, beside the same MMoE written as a list of Dense layers.

    python benchmarks/architectures.py                    # 8, 16 and 64 experts, batch 512
    python benchmarks/architectures.py --experts 64 --rounds 3

Both networks have the same parameters and, with the same weights, the same outputs; that is
checked first. Build, trace and first step are timed once per fresh network, in turns; steps in
turns of a few, in a new random order per round. Medians count, so that other work of the machine
affects both equally. Training is `fit`'s own compiled step, with Adam.
"""

import argparse
import time

import keras
import numpy as np
import page_tables
import tensorflow as tf

import keras_mtl as mtl

FEATURES, EXPERT, TOWER = 128, (128,), (32,)
TASKS = [mtl.Task.binary("click", metrics=()), mtl.Task.regression("price", metrics=())]


def together(num_experts):
    """Builds a network that computes all experts in one matrix product."""
    return mtl.architectures.mmoe(
        keras.Input((FEATURES,)), TASKS, num_experts=num_experts, expert=EXPERT, tower=TOWER
    )


def listed(num_experts):
    """Builds the same network with a Python loop of Dense layers."""
    inputs = keras.Input((FEATURES,))
    experts = []
    for i in range(num_experts):
        x = inputs
        for j, units in enumerate(EXPERT):
            x = keras.layers.Dense(units, activation="relu", name=f"expert_{i}_{j}")(x)
        experts.append(x)
    side_by_side = keras.ops.stack(experts, axis=1)  # batch, experts, units
    outputs = {}
    for task in TASKS:
        gate = keras.layers.Dense(num_experts, "softmax", use_bias=False, name=f"{task.name}_gate")(
            inputs
        )
        x = keras.ops.sum(keras.ops.expand_dims(gate, -1) * side_by_side, axis=1)
        for j, units in enumerate(TOWER):
            x = keras.layers.Dense(units, activation="relu", name=f"{task.name}_tower_{j}")(x)
        outputs[task.name] = task.output(x)
    return keras.Model(inputs, outputs)


def check_equal(num_experts, x):
    """Gives both networks the same weights; fails unless they are the same function."""
    one, other = together(num_experts), listed(num_experts)
    experts = one.get_layer("shared_experts")
    for j, (kernel, bias) in enumerate(zip(experts.kernels, experts.biases, strict=True)):
        for i in range(num_experts):
            values = [np.asarray(kernel)[:, i], np.asarray(bias)[i]]
            other.get_layer(f"expert_{i}_{j}").set_weights(values)
    for layer in one.layers:
        if layer.weights and layer is not experts:
            other.get_layer(layer.name).set_weights(layer.get_weights())
    if one.count_params() != other.count_params():
        raise SystemExit(f"{one.count_params()} parameters against {other.count_params()}")
    expected = other(x)
    for name, output in one(x).items():
        np.testing.assert_allclose(output, expected[name], rtol=1e-4, atol=1e-5)
    return one.count_params()


class Timed:
    """Holds a network with its own compiled steps, and times turns of them."""

    def __init__(self, build, num_experts, batch):
        self.rows = {"forward": [], "training": []}
        x = np.random.default_rng(0).normal(size=(batch, FEATURES)).astype("float32")
        y = {"click": (x[:, 0] > 0).astype("float32"), "price": x[:, 1]}
        data = tf.data.Dataset.from_tensors((x, y)).cache().repeat()
        self.x, self.iterator = tf.constant(x), iter(data)
        start = time.perf_counter()
        self.network = build(num_experts)
        self.network.compile("adam", **mtl.compile_args(TASKS))
        self.network.make_train_function()
        self.network.train_function(self.iterator)
        self.first = time.perf_counter() - start
        self.predict = tf.function(lambda x: self.network(x, training=False))
        self.predict(self.x)

    def turn(self, steps):
        for row, step in [("forward", self._forward), ("training", self._train)]:
            step()
            start = time.perf_counter()
            for _ in range(steps):
                last = step()
            tf.nest.map_structure(np.asarray, last)  # an accelerator may still be at work
            self.rows[row].append((time.perf_counter() - start) / steps)

    def _forward(self):
        return self.predict(self.x)

    def _train(self):
        return self.network.train_function(self.iterator)


BUILDS = {"together": together, "listed": listed}


def first_steps(num_experts, batch, repeats):
    """Measures the seconds from nothing to the end of the first step, by build."""
    seconds = {name: [] for name in BUILDS}
    order = np.random.default_rng(0)
    for _ in range(repeats):
        for name in order.permutation([*BUILDS]):
            keras.backend.clear_session()
            seconds[name].append(Timed(BUILDS[name], num_experts, batch).first)
    return {name: float(np.median(times)) for name, times in seconds.items()}


def steps(num_experts, batch, rounds, count):
    """Measures the seconds per step, forward and training, by build."""
    keras.backend.clear_session()
    timed = {name: Timed(build, num_experts, batch) for name, build in BUILDS.items()}
    order = np.random.default_rng(1)
    for _ in range(rounds):
        for name in order.permutation([*timed]):
            timed[name].turn(count)
    return {
        row: {name: float(np.median(network.rows[row])) for name, network in timed.items()}
        for row in ("forward", "training")
    }


def report(table, num_experts, what, seconds, parameters):
    one, other = seconds["together"], seconds["listed"]
    times = f"{1e3 * one:.1f}", f"{1e3 * other:.1f}", f"{other / one:.2f}"
    table.add(num_experts, f"{parameters:,}", what, *times)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--experts", default="8,16,64")
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=10, help="steps per turn")
    parser.add_argument("--repeats", type=int, default=3, help="fresh networks per first step")
    page_tables.add_option(parser)
    arguments = parser.parse_args()
    x = np.random.default_rng(1).normal(size=(arguments.batch, FEATURES)).astype("float32")
    Timed(together, 2, arguments.batch)  # what only the first network of a process costs
    header = ["experts", "parameters", "what", "together, ms", "Dense layers, ms", "times faster"]
    table = page_tables.Table("architectures", header, arguments.record, keys=3)
    for num_experts in map(int, arguments.experts.split(",")):
        parameters = check_equal(num_experts, x)
        first = first_steps(num_experts, arguments.batch, arguments.repeats)
        report(table, num_experts, "build, trace and first step", first, parameters)
        by_row = steps(num_experts, arguments.batch, arguments.rounds, arguments.steps)
        for row, seconds in by_row.items():
            report(table, num_experts, f"step, {row}", seconds, parameters)
    table.keep()


if __name__ == "__main__":
    main()
