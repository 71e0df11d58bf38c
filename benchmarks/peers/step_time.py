"""The time of a training step beside TorchJD's, strategy by strategy, in one run.

    python benchmarks/peers/make_environment.py    # once
    python benchmarks/peers/step_time.py           # every strategy that both have, K = 2, 4, 8
    python benchmarks/peers/step_time.py --tasks 4 --strategies UPGrad,MGDA --turns 5

Both sides train the same network (4 x 512 units, towers of 32) from the same weights on the same
batch of 256 with Adam; a step is forward, gradients of every task, aggregation and update. Each
side is a process of its own, with the same number of threads on the same cores, and they take
turns of a few steps, in an order drawn anew per round: never both at once. The median turn
counts. This package's step is that of `fit`, with its checks and logs; TorchJD's is the fastest
of its ways (see `torchjd_side.py`). Run it on a machine that does nothing else: threads of
PyTorch wait for each other, so that it suffers more than TensorFlow from another process.

`plain` is the sum of the losses without any strategy, in stock Keras and in PyTorch alone: what
a ratio owes to the frameworks. Strategies on losses take no Jacobian and have no goal.
"""

import argparse
import os
import platform
import random
import statistics
import sys
from pathlib import Path

import numpy as np
from make_environment import interpreter
from turns import Worker

sys.path.append(str(Path(__file__).resolve().parents[1]))

import page_tables

HERE = Path(__file__).parent
GOAL = 0.7
ON_GRADIENTS = (
    *("AlignedMTL", "CAGrad", "ConFIG", "CRMOGM", "DualProj", "ExcessMTL", "FairGrad"),
    *("GradDrop", "GradVac", "IMTLG", "Krum", "MGDA", "MoDo", "NashMTL", "PCD", "PCGrad"),
    *("SDMGrad", "TrimmedMean", "UPGrad"),
)
ON_LOSSES = (
    *("DWA", "Equal", "FAMO", "Fixed", "GeometricMean", "IMTLL", "PBI", "RandomWeighting"),
    *("STCH", "Uncertainty"),
)


def compare(sides, name, tasks, turns, steps):
    """Returns the medians of both sides in milliseconds, and TorchJD's way.

    Raises:
        RuntimeError: If a side raises an error.
    """
    answers = {
        side: worker.ask("prepare", name=name, tasks=tasks) for side, worker in sides.items()
    }
    for side, answer in answers.items():
        if "error" in answer:
            raise RuntimeError(f"{side}: {answer['error']}")
    predictions = [np.array(answer["predictions"]) for answer in answers.values()]
    np.testing.assert_allclose(*predictions, rtol=1e-3, atol=1e-4)  # or the networks differ
    order, times = random.Random(0), {side: [] for side in sides}
    for _ in range(turns):
        for side in order.sample(list(sides), len(sides)):
            answer = sides[side].ask("turn", steps=steps)
            if "error" in answer:
                raise RuntimeError(f"{side}: {answer['error']}")
            times[side].append(1e3 * answer["seconds"])
    ours, theirs = (statistics.median(side_times) for side_times in times.values())
    return ours, theirs, answers["torchjd"]["remark"]


def row(sides, name, tasks, options):
    """Prints a row; returns the milliseconds of both, `None` if a side cannot."""
    try:
        ours, theirs, way = compare(sides, name, tasks, options.turns, options.steps)
    except RuntimeError as error:
        print(f"| {name} | {tasks} | - | - | - | {error} |", flush=True)
        return None, None
    ratio = ours / theirs
    over = "over the goal; " if name in ON_GRADIENTS and ratio > GOAL else ""
    print(
        f"| {name} | {tasks} | {ours:.1f} | {theirs:.1f} | {ratio:.2f} | {over}{way} |", flush=True
    )
    return ours, theirs


def add_table(results, record):
    """Prints what both sides take, a row per strategy on gradients."""
    counts = sorted({tasks for _, tasks in results})
    header = [cell for tasks in counts for cell in (f"{tasks} tasks", "ratio")]
    table = page_tables.Table("peers", ["strategy", *header], record)
    for name in [name for name in ("plain", *ON_GRADIENTS) if (name, counts[0]) in results]:
        cells = []
        for ours, theirs in (results[name, tasks] for tasks in counts):
            cells += [f"{ours:.1f} / {theirs:.1f}", f"{ours / theirs:.2f}"] if ours else ["", ""]
        table.add(name, *cells)
    table.keep()


def summary(ratios):
    for tasks in sorted({tasks for _, tasks in ratios}):
        by_name = {n: r for (n, k), r in ratios.items() if k == tasks and n in ON_GRADIENTS}
        if by_name:
            worst = max(by_name, key=by_name.get)
            within = sum(ratio <= GOAL for ratio in by_name.values())
            print(
                f"K = {tasks}: median {statistics.median(by_name.values()):.2f}, worst "
                f"{by_name[worst]:.2f} ({worst}); {within} of {len(by_name)} strategies on "
                f"gradients at {GOAL} x or below"
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", default=".peers", help="of make_environment.py")
    parser.add_argument("--tasks", default="2,4,8")
    parser.add_argument("--strategies", default=",".join(["plain", *ON_GRADIENTS, *ON_LOSSES]))
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--steps", type=int, default=10, help="steps per turn")
    page_tables.add_option(parser)
    options = parser.parse_args()
    python = interpreter(options.folder)
    if not python.exists():
        parser.error(f"there is no {python}; run make_environment.py --folder {options.folder}")
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.threads])
    sides = {
        "keras_mtl": Worker(sys.executable, HERE / "keras_mtl_side.py", options.threads),
        "torchjd": Worker(python, HERE / "torchjd_side.py", options.threads),
    }
    versions = {n: v for worker in sides.values() for n, v in worker.versions.items()}
    print(", ".join(f"{n} {v}" for n, v in versions.items()), f"on {platform.platform()},")
    print(f"{options.threads} thread(s), {options.turns} turns of {options.steps} steps\n")
    print("| strategy | K | keras_mtl ms | TorchJD ms | ratio | TorchJD's way |")
    print("|---|---|---|---|---|---|")
    results = {}
    for tasks in map(int, options.tasks.split(",")):
        for name in options.strategies.split(","):
            results[name, tasks] = row(sides, name, tasks, options)
    print()
    add_table(results, options.record)
    print()
    summary({case: ours / theirs for case, (ours, theirs) in results.items() if ours})
    for worker in sides.values():
        worker.close()


if __name__ == "__main__":
    main()
