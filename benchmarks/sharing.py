"""Does sharing help? Contenders beside one network per task on real data, at equal budgets.

    python benchmarks/sharing.py penguins
    python benchmarks/sharing.py tox21 --data-dir FOLDER --folder studies --report tox21.html

Of each set, settings and epochs are chosen by validation rows, and `studies.compare` decides on
test rows. penguins and census ship with keras_mtl; FOLDER holds the files of the others. A run that
is stopped goes on if it is started again with the same --folder.
"""

import argparse
import pathlib
import tempfile

import numpy as np
import page_tables
import sharing_sets

from keras_mtl import analysis, studies

PLAIN = ("linear", "boosted")
OF_CLASSES = ("census", "tox21")


def add_table(name, study, plain, record):
    """Prints a row per task, with the plain models beside the networks, and the mean gains."""
    models = PLAIN if plain else ()
    gains = [f"{contender}, gain %" for contender in study.comparisons]
    header = ["task", "metric", *models, "one network per task", *gains]
    table = page_tables.Table(f"sharing_{name}", header, record, keys=2)
    for rows in zip(*(result.rows for result in study.comparisons.values()), strict=True):
        key = rows[0].task, rows[0].column, rows[0].metric
        task = rows[0].task if rows[0].column is None else f"{rows[0].task}[{rows[0].column}]"
        scores = [plain[key][model] for model in models] + [rows[0].baseline]
        table.add(task, key[2], *(f"{score:.4f}" for score in scores), *map(gain_of, rows))
    empty = [""] * (len(models) + 2)
    table.add("mean gain", *empty, *map(gain_of, study.comparisons.values()))
    table.keep()


def add_plain_table(name, case, record):
    """Prints what the plain models reach, without training a network."""
    metrics = {task.name: "auc" for task in case.tasks}
    table = page_tables.Table(f"plain_{name}", ["task", "metric", *PLAIN], record, keys=2)
    scores = analysis.baselines(*case.tables, metrics, kinds=PLAIN).scores
    for (task, _, metric), of_models in scores.items():
        table.add(task, metric, *(f"{of_models[model]:.4f}" for model in PLAIN))
    table.keep()


def gain_of(result):
    """Returns a gain in percent with its interval, in bold with the verdict if it is decided."""
    lower, upper = 100 * result.gain_lower, 100 * result.gain_upper
    text = f"{100 * result.gain:.2f} [{lower:.2f}, {upper:.2f}]"
    return text if result.verdict == "undecided" else f"**{text}: {result.verdict}**"


def main(options):
    with tempfile.TemporaryDirectory() as scratch:
        files = options.data_dir or pathlib.Path(scratch)
        place = {"data_dir": pathlib.Path(scratch, "prepared"), "manual_dir": files}
        if options.set in ("penguins", "census"):  # they ship with the package
            del place["manual_dir"]
        case = sharing_sets.SETS[options.set](place)
        if options.plain:
            return add_plain_table(options.set, case, options.record)
        epochs = options.epochs or case.epochs
        study = studies.compare(
            case.contenders,
            case.tasks,
            *case.parts,
            budget=studies.Budget(options.trials, epochs, options.seeds),
            directory=options.folder and options.folder / options.set,
            **(case.settings(epochs) if callable(case.settings) else case.settings),
        )
        print(f"\n{study}")
        shares = np.mean([t.seconds for t in study.trainings])
        print(f"{len(study.trainings)} trainings, {shares:.1f} s on average")
        plain = {}
        if case.tables:  # one model per task, fitted to training and validation rows
            metrics = {row.task: row.metric for row in study.comparisons[study.contenders[0]].rows}
            plain = analysis.baselines(*case.tables, metrics, kinds=PLAIN).scores
        print()
        add_table(options.set, study, plain, options.record)
        if options.report:
            study.report(options.report, title=f"Does sharing help? {options.set}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("set", choices=sharing_sets.SETS)
    parser.add_argument("--trials", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--data-dir", type=pathlib.Path, help="the files of the data sets")
    parser.add_argument("--folder", type=pathlib.Path, help="keeps the studies")
    parser.add_argument("--plain", action="store_true", help="the plain models alone")
    parser.add_argument("--report", help="writes a page of HTML")
    page_tables.add_option(parser)
    chosen = parser.parse_args()
    if chosen.plain and chosen.set not in OF_CLASSES:
        parser.error(f"--plain takes one of {', '.join(OF_CLASSES)}: their tasks are all yes or no")
    main(chosen)
