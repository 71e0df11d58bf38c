"""What `studies.advise` answers on made-up tasks whose groups are known, over 20 seeds.

    python benchmarks/advice.py --folder runs              # three hours of one core
    python benchmarks/advice.py --folder runs --seeds 3
    python benchmarks/advice.py --pilots                   # conflict alone: ten minutes

Four tasks of `datasets.synthetic_groups`, 3,000 rows to train on of which half of the labels are
missing, 600 to choose by: all in one group, in two groups, or unrelated. Where tasks read the
features of a body with heads of their own, y and -y are one task to it, so conflict is planted in
another network: all tasks read one score, times a positive number. Their labels are those of one
task with noise of their own, turned for two of the four; beside it, the same where no label is.

Each run trains the baseline and the two contenders of its short list with one setting and three
seeds. The budget is fixed here, where a user says minutes, so that answers do not depend on the
machine. Finished runs are kept in the folder, and not run again.
"""

import argparse
import json
import os
import pathlib
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import page_tables
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl import studies
from keras_mtl.studies import _advise
from keras_mtl.studies._advice._conflict import MeasureConflict, conflicting_pairs

TASKS, INPUTS, EPOCHS, RATE, MISSING = 4, 32, 40, 3e-3, 0.5


def fixed_budget(sizes, *_):
    """Returns one trial and three seeds for the baseline and the first two contenders."""
    return studies.Budget(1, EPOCHS, 3), min(2, len(sizes) - 1)


def build_heads(tasks):
    """Builds hard sharing with linear heads."""
    return mtl.architectures.hard_sharing(keras.Input((INPUTS,)), tasks, shared=(32,), tower=())


def build_score(tasks):
    """Builds a network of one score, which each task scales by a positive number, and shifts."""
    inputs = keras.Input((INPUTS,))
    score = keras.layers.Dense(1)(keras.layers.Dense(32, activation="relu")(inputs))
    settings = {"kernel_initializer": "ones", "kernel_constraint": "non_neg"}
    outputs = {task.name: keras.layers.Dense(1, name=task.name, **settings) for task in tasks}
    return keras.Model(inputs, {name: layer(score) for name, layer in outputs.items()})


class Family(NamedTuple):
    """Says what is planted."""

    groups: int
    build: Callable = build_heads
    turned: tuple[int, ...] | None = None  # tasks whose labels point against those of the rest


FAMILIES = {
    "one group": Family(1),
    "two groups": Family(2),
    "unrelated": Family(4),
    "one score": Family(1, build_score, ()),
    "one score, two labels turned": Family(1, build_score, (2, 3)),
}


def copied(part, turned, rng):
    """Returns the rows of a part, with noisy labels of its first task for all, some turned."""
    x, y = next(iter(part.batch(3000)))
    signs = np.where(np.isin(np.arange(TASKS), turned), -1.0, 1.0)
    labels = 0.8 * signs * y["task_0"].numpy()[:, None]
    labels += rng.normal(scale=0.6, size=labels.shape)
    labels[rng.random(labels.shape) < MISSING] = np.nan
    columns = {f"task_{k}": labels[:, k].astype("float32") for k in range(TASKS)}
    return tf.data.Dataset.from_tensor_slices((x, columns))


def make(planted, seed):
    """Returns a family with planted groups, and its batches to train on, choose by and test on."""
    family = mtl.datasets.synthetic_groups(
        TASKS,
        planted.groups,
        rows=(3000, 600, 3000),
        missing=MISSING if planted.turned is None else 0.0,
        seed=seed,
    )
    parts = [family.train, family.validation, family.test]
    if planted.turned is not None:
        rng = np.random.default_rng(seed)
        parts = [copied(part, planted.turned, rng) for part in parts]
    sizes = (256, 600, 3000)
    return family, [part.batch(size).cache() for part, size in zip(parts, sizes, strict=True)]


def see_conflict(planted, seed):
    """Returns the lowest cosine of a pilot's gradients, and the number of pairs in conflict."""
    family, (train, *_) = make(planted, seed)
    keras.utils.set_random_seed(seed)
    network = planted.build(family.tasks)
    network.compile(keras.optimizers.Adam(RATE), **mtl.compile_args(family.tasks))
    batches = mtl.data.mask_missing(train, family.tasks)
    conflict = MeasureConflict(batches, family.tasks, EPOCHS // 8, 10)
    network.fit(batches, epochs=EPOCHS // 8, callbacks=[conflict], shuffle=False, verbose=0)
    keras.backend.clear_session()
    cosines, errors = conflict.cosines()
    return np.nanmin(cosines), len(conflicting_pairs(cosines, errors))


def advise(planted, seed):
    """Returns the answer of one run, the groups that it saw, and those that were planted."""
    family, parts = make(planted, seed)
    advice = studies.advise(
        planted.build,
        family.tasks,
        *parts,
        minutes=1,
        epochs=EPOCHS,
        learning_rate=RATE,
        seed=seed,
        verbose=False,
    )
    keras.backend.clear_session()
    comparison = advice.study.comparisons[advice.contender]
    return {
        "answer": advice.answer,
        "groups": sorted(sorted(names) for names in advice.groups),
        "truth": sorted(sorted(names) for names in family.names_by_group),
        "gain": [comparison.gain, comparison.gain_lower, comparison.gain_upper],
    }


def show_conflict(options):
    """Prints in how many pilots gradients conflict, a row per family."""
    header = ["family", "seeds", "conflict seen", "pairs, mean", "lowest cosine, median"]
    table = page_tables.Table("advice_conflict", header, options.record)
    for family in options.families:
        runs = [see_conflict(FAMILIES[family], seed) for seed in range(options.seeds)]
        lowest, pairs = np.array(runs).T
        numbers = f"{pairs.mean():.1f}", f"{np.median(lowest):.2f}"
        table.add(family, len(runs), int((pairs > 0).sum()), *numbers)
    table.keep()


def main(options):
    """Runs what is not there yet, and prints a row per family."""
    if options.pilots:
        return show_conflict(options)
    _advise.fit_budget = fixed_budget
    options.folder.mkdir(parents=True, exist_ok=True)
    answers = ["share all", "share groups", "do not share"]
    header = ["family", "seeds", *answers, "planted groups seen"]
    table = page_tables.Table("advice", header, options.record)
    for family in options.families:
        runs = []
        for seed in range(options.seeds):
            file = options.folder / f"{family.replace(' ', '_').replace(',', '')}_{seed}.json"
            if not file.exists():
                part = file.with_suffix(".part")
                part.write_text(json.dumps(advise(FAMILIES[family], seed)))
                os.replace(part, file)
            runs.append(json.loads(file.read_text()))
        counted = Counter(run["answer"] for run in runs)
        # With all tasks in one group, or none, there is no grouping to be seen.
        is_grouped = FAMILIES[family].groups == 2
        seen = sum(run["groups"] == run["truth"] for run in runs) if is_grouped else ""
        counts = [counted[name] for name in answers]
        table.add(family, len(runs), *counts, seen)
    table.keep()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=[*FAMILIES])
    parser.add_argument("--folder", type=pathlib.Path, help="keeps finished runs")
    parser.add_argument("--pilots", action="store_true", help="conflict alone, without answers")
    page_tables.add_option(parser)
    # One core: several of these commands may share a folder, each with its own seeds.
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    parsed = parser.parse_args()
    if not parsed.pilots and parsed.folder is None:
        parser.error("--folder is missing: it keeps finished runs.")
    main(parsed)
