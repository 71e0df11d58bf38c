"""What runs on an accelerator with JAX and without TensorFlow: ten minutes, one JSON file.

    KERAS_BACKEND=jax JAX_ENABLE_X64=1 python benchmarks/gpu.py --out gpu.json
    KERAS_BACKEND=jax JAX_ENABLE_X64=1 python benchmarks/gpu.py --tiny --out cpu.json   # a minute

It needs Keras, JAX and this package (`pip install keras`, `PYTHONPATH=.`). Each part has a budget
of seconds, stops when it is over, and says what it left out; an error of one part is written down
and the others go on.

- `device`: versions, devices, and what `nvidia-smi` says.
- `builders`: the loss of eight architectures after five steps, on the accelerator and on the CPU
  of the same machine, from the same weights.
- `steps`: milliseconds of a plain step, and of prototypes of a step at the representation and at
  the parameters (`jax.vjp` for each task), for 2 to 16 tasks, float32 and bfloat16; medians of
  interleaved turns, as ratios to the plain step.
- `rules`: milliseconds of `weigh` of each rule on the Gramian for 4 to 1,000 tasks, jitted.
- `memory`: the peak of both modes, beside the bytes of K gradients of P parameters.
- `layout`: towers as K products or as one batched einsum.

The prototypes are no part of the package, whose step needs TensorFlow: they say what its passes
would cost. Nothing here speaks of TensorFlow on a GPU, of NCCL or of `tf.distribute`.
"""

import argparse
import functools
import json
import platform
import statistics
import subprocess
import time
import traceback

import jax
import jax.numpy as jnp
import keras
import numpy as np

import keras_mtl as mtl

BUILDERS = ("hard_sharing", "mmoe", "cgc", "ple", "cross_stitch", "mtan", "dselect_k", "snr")


class Budget:
    """Knows whether the seconds of a part are over, and lists what was left out."""

    def __init__(self, seconds):
        self.end = time.monotonic() + seconds
        self.left_out = []

    def over(self, what):
        """Returns whether they are; then `what` is noted as left out."""
        if time.monotonic() < self.end:
            return False
        self.left_out.append(what)
        return True


def timed(functions, turns):
    """Returns the median milliseconds of each function, in interleaved turns after one each."""
    for run in functions.values():
        jax.block_until_ready(run())
    seconds = {name: [] for name in functions}
    for _ in range(turns):
        for name, run in functions.items():
            start = time.perf_counter()
            jax.block_until_ready(run())
            seconds[name].append(time.perf_counter() - start)
    return {name: 1e3 * statistics.median(values) for name, values in seconds.items()}


def device(budget, sizes):
    try:
        smi = subprocess.run(["nvidia-smi"], capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        smi = "no nvidia-smi"
    return {
        "devices": [str(d) for d in jax.devices()],
        "kind": jax.devices()[0].device_kind,
        "jax": jax.__version__,
        "keras": keras.__version__,
        "python": platform.python_version(),
        "nvidia_smi": smi,
    }


def builders(budget, sizes):
    tasks = [mtl.Task.binary("click", metrics=()), mtl.Task.regression("price", metrics=())]
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 32)).astype("float32")
    y = {"click": (x[:, 0] > 0).astype("float32"), "price": x[:, 1]}
    results = {}
    for name in BUILDERS:
        if budget.over(name):
            continue
        losses, weights = {}, None
        for where in (jax.devices()[0], jax.devices("cpu")[0]):
            with jax.default_device(where):
                keras.utils.set_random_seed(0)
                network = getattr(mtl.architectures, name)(keras.Input((32,)), tasks)
                weights = network.get_weights() if weights is None else weights
                network.set_weights(weights)
                network.compile(keras.optimizers.SGD(0.05), **mtl.compile_args(tasks))
                history = network.fit(x, y, batch_size=64, epochs=5, shuffle=False, verbose=0)
                losses[where.platform] = history.history["loss"][-1]
        results[name] = {**losses, "difference": max(losses.values()) - min(losses.values())}
    return results


def make_parameters(num_tasks, sizes, dtype):
    keys = iter(jax.random.split(jax.random.key(0), 64))

    def dense(inputs, outputs):
        return jax.random.normal(next(keys), (inputs, outputs), dtype) / np.sqrt(inputs)

    trunk = [dense(sizes["width"], sizes["width"]) for _ in range(sizes["depth"])]
    towers = [[dense(sizes["width"], 64), dense(64, 1)] for _ in range(num_tasks)]
    return trunk, towers


def run_trunk(trunk, x):
    for kernel in trunk:
        x = jax.nn.relu(x @ kernel)
    return x


def loss_of(tower, features, label):
    hidden = jax.nn.relu(features @ tower[0])
    return jnp.mean((hidden @ tower[1])[:, 0].astype(jnp.float32) * label)


def plain_step(trunk, towers, x, labels):
    def loss(trunk, towers):
        features = run_trunk(trunk, x)
        return sum(loss_of(t, features, label) for t, label in zip(towers, labels, strict=True))

    return jax.grad(loss, argnums=(0, 1))(trunk, towers)


def step_of_rule(mode, weigh, trunk, towers, x, labels):
    """Takes one pass through the trunk forward, and one or K of them backward."""
    features, back = jax.vjp(lambda trunk: run_trunk(trunk, x), trunk)
    of_tasks = [
        jax.grad(loss_of, argnums=(0, 1))(tower, features, label)
        for tower, label in zip(towers, labels, strict=True)
    ]
    cotangents = [cotangent for _, cotangent in of_tasks]
    if mode == "representation":
        rows = jnp.stack([c.astype(jnp.float32).ravel() for c in cotangents])
        weights = weigh(rows @ rows.T)
        mixed = sum(w.astype(features.dtype) * c for w, c in zip(weights, cotangents, strict=True))
        return back(mixed), [tower for tower, _ in of_tasks]
    of_trunk = [back(c)[0] for c in cotangents]
    rows = jnp.stack(
        [jnp.concatenate([g.astype(jnp.float32).ravel() for g in grads]) for grads in of_trunk]
    )
    weights = weigh(rows @ rows.T)
    return weights @ rows, [tower for tower, _ in of_tasks]


def made_steps(num_tasks, sizes, dtype):
    trunk, towers = make_parameters(num_tasks, sizes, dtype)
    x = jax.random.normal(jax.random.key(1), (sizes["batch"], sizes["width"]), dtype)
    labels = list(jax.random.normal(jax.random.key(2), (num_tasks, sizes["batch"])))

    def weigh(gramian):  # the cheapest rule, so that passes are what is measured
        lengths = jnp.sqrt(jnp.diag(gramian))
        return 1.0 / jnp.maximum(lengths, 1e-12)

    functions = {"plain": jax.jit(plain_step)}
    for mode in ("representation", "parameters"):
        functions[mode] = jax.jit(lambda *arrays, mode=mode: step_of_rule(mode, weigh, *arrays))
    return {name: (f, (trunk, towers, x, labels)) for name, f in functions.items()}


def steps(budget, sizes):
    results = {}
    for dtype in (jnp.float32, jnp.bfloat16):
        for num_tasks in sizes["tasks"]:
            name = f"{num_tasks} tasks, {jnp.dtype(dtype).name}"
            if budget.over(name):
                continue
            prepared = made_steps(num_tasks, sizes, dtype)
            runs = {n: (lambda f=f, a=a: f(*a)) for n, (f, a) in prepared.items()}
            times = timed(runs, sizes["turns"])
            results[name] = {**times, "of_plain": {n: t / times["plain"] for n, t in times.items()}}
    return results


def rules(budget, sizes):
    results = {}
    for num_tasks in sizes["rule_tasks"]:
        rows = np.random.default_rng(0).normal(size=(num_tasks, 2 * num_tasks)).astype("float32")
        gramian, losses = jnp.array(rows @ rows.T), jnp.ones(num_tasks)
        for name in mtl.balancers.__all__:
            make = getattr(mtl.balancers, name)
            kind = mtl.balancers.GramianBalancer
            if not (isinstance(make, type) and issubclass(make, kind)) or make is kind:
                continue
            if budget.over(f"{name}, {num_tasks} tasks"):
                continue
            try:
                rule = make()
                rule.build(num_tasks)
                state = [v.value for v in rule.variables]

                def weigh(state, gramian, losses, rule=rule):
                    pairs = list(zip(rule.variables, state, strict=True))
                    with keras.StatelessScope(pairs):
                        return rule.weigh(gramian, losses)

                run = jax.jit(weigh)
                weights = np.asarray(run(state, gramian, losses))
                arrays = (state, gramian, losses)
                times = timed({"ms": functools.partial(run, *arrays)}, sizes["turns"])
                entry = {**times, "finite": bool(np.isfinite(weights).all())}
            except Exception as error:
                entry = {"error": f"{type(error).__name__}: {str(error)[:200]}"}
            results[f"{name}, {num_tasks} tasks"] = entry
    return results


def memory(budget, sizes):
    device = jax.devices()[0]
    if not (device.memory_stats() or {}).get("peak_bytes_in_use"):
        return {"left_out": "the device does not say how much memory it uses"}
    results = {}
    for num_tasks in sizes["tasks"]:
        for name, (function, arrays) in made_steps(num_tasks, sizes, jnp.float32).items():
            if budget.over(f"{name}, {num_tasks} tasks"):
                continue
            compiled = function.lower(*arrays).compile().memory_analysis()
            results[f"{name}, {num_tasks} tasks"] = {
                "temporary_bytes": getattr(compiled, "temp_size_in_bytes", None),
                "rows_bytes": 4 * num_tasks * sizes["depth"] * sizes["width"] ** 2,
            }
    return results


def layout(budget, sizes):
    results = {}
    for num_tasks in sizes["tasks"]:
        if budget.over(f"{num_tasks} tasks"):
            continue
        x = jax.random.normal(jax.random.key(0), (num_tasks, sizes["batch"], sizes["width"]))
        kernels = jax.random.normal(jax.random.key(1), (num_tasks, sizes["width"], 64))

        def products(x, kernels):
            return [jax.nn.relu(row @ kernel) for row, kernel in zip(x, kernels, strict=True)]

        def batched(x, kernels):
            return jax.nn.relu(jnp.einsum("kbi,kij->kbj", x, kernels))

        runs = {}
        for name, function in (("K products", products), ("one einsum", batched)):
            both = jax.jit(jax.grad(lambda k, f=function, x=x: sum(map(jnp.sum, f(x, k)))))
            runs[name] = lambda both=both, kernels=kernels: both(kernels)
        results[f"{num_tasks} tasks"] = timed(runs, sizes["turns"])
    return results


PARTS = {device: 20, builders: 90, steps: 180, rules: 120, memory: 60, layout: 60}
FULL = {
    "width": 2048,
    "depth": 4,
    "batch": 4096,
    "tasks": (2, 4, 8, 16),
    "turns": 20,
    "rule_tasks": (4, 16, 64, 1000),
}
TINY = {
    "width": 32,
    "depth": 2,
    "batch": 64,
    "tasks": (2, 4),
    "turns": 3,
    "rule_tasks": (4,),
}


def main():
    kind = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=kind)
    parser.add_argument("--out", default="gpu.json")
    parser.add_argument("--tiny", action="store_true", help="small sizes, to try the script")
    options = parser.parse_args()
    if keras.backend.backend() != "jax":
        raise SystemExit("set KERAS_BACKEND=jax")
    sizes, report = TINY if options.tiny else FULL, {}
    for part, seconds in PARTS.items():
        start, budget = time.monotonic(), Budget(seconds)
        try:
            entry = {"results": part(budget, sizes)}
        except Exception:
            entry = {"error": traceback.format_exc()}
        entry |= {"seconds": time.monotonic() - start, "left_out": budget.left_out}
        report[part.__name__] = entry
        with open(options.out, "w") as file:  # after each part: a killed run leaves its results
            json.dump({"tiny": options.tiny, **report}, file, indent=1)
        print(
            f"{part.__name__}: {entry['seconds']:.0f} s", *(["ERROR"] if "error" in entry else [])
        )


if __name__ == "__main__":
    main()
