"""What `studies.advise` answers on made-up tasks whose groups are known, over 20 seeds.

    python benchmarks/advice.py --folder runs              # two hours of one core
    python benchmarks/advice.py --folder runs --seeds 3

Four tasks of `datasets.synthetic_groups`, 3,000 rows to train on of which half of the labels are
missing, 600 to choose by: all in one group, in two groups, or unrelated. Each run trains the
baseline and the two contenders of its short list with one setting and three seeds. The budget is
fixed here, where a user says minutes, so that answers do not depend on the machine. Finished runs
are kept in the folder, and not run again.
"""

import argparse
import json
import os
import pathlib
from collections import Counter

import keras
import page_tables
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl import studies
from keras_mtl.studies import _advise

FAMILIES = {"one group": 1, "two groups": 2, "unrelated": 4}
TASKS, INPUTS, EPOCHS = 4, 32, 40


def fixed_budget(sizes, *_):
    """Returns one trial and three seeds for the baseline and the first two contenders."""
    return studies.Budget(1, EPOCHS, 3), min(2, len(sizes) - 1)


def build(tasks):
    """Builds hard sharing with linear heads."""
    return mtl.architectures.hard_sharing(keras.Input((INPUTS,)), tasks, shared=(32,), tower=())


def advise(groups, seed):
    """Returns the answer of one run, the groups that it saw, and those that were planted."""
    family = mtl.datasets.synthetic_groups(
        TASKS, groups, rows=(3000, 600, 3000), missing=0.5, seed=seed
    )
    train, validation, test = family.train, family.validation, family.test
    parts = train.batch(256), validation.batch(600), test.batch(3000)
    advice = studies.advise(
        build,
        family.tasks,
        *(part.cache() for part in parts),
        minutes=1,
        epochs=EPOCHS,
        learning_rate=3e-3,
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


def main(options):
    """Runs what is not there yet, and prints a row per family."""
    _advise.fit_budget = fixed_budget
    options.folder.mkdir(parents=True, exist_ok=True)
    header = ["family", "seeds", "share all", "share groups", "do not share", "planted groups seen"]
    table = page_tables.Table("advice", header, options.record)
    for family, groups in FAMILIES.items():
        runs = []
        for seed in range(options.seeds):
            file = options.folder / f"{family.replace(' ', '_')}_{seed}.json"
            if not file.exists():
                part = file.with_suffix(".part")
                part.write_text(json.dumps(advise(groups, seed)))
                os.replace(part, file)
            runs.append(json.loads(file.read_text()))
        answers = Counter(run["answer"] for run in runs)
        # With all tasks in one group, or none, there is no grouping to be seen.
        seen = sum(run["groups"] == run["truth"] for run in runs) if groups == 2 else ""
        counts = [answers[name] for name in ("share all", "share groups", "do not share")]
        table.add(family, len(runs), *counts, seen)
    table.keep()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--folder", type=pathlib.Path, required=True, help="keeps finished runs")
    page_tables.add_option(parser)
    # One core: several of these commands may share a folder, each with its own seeds.
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    main(parser.parse_args())
