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
import sharing_sets

from keras_mtl import analysis, studies


def main(options):
    with tempfile.TemporaryDirectory() as scratch:
        files = options.data_dir or pathlib.Path(scratch)
        place = {"data_dir": pathlib.Path(scratch, "prepared"), "manual_dir": files}
        if options.set in ("penguins", "census"):  # they ship with the package
            del place["manual_dir"]
        case = sharing_sets.SETS[options.set](place)
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
        if case.tables:
            rows = next(iter(study.comparisons.values())).rows
            metrics = {row.task: row.metric for row in rows}
            print("\nPlain models of one task each, on training and validation rows")
            print(analysis.baselines(*case.tables, metrics))
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
    parser.add_argument("--report", help="writes a page of HTML")
    main(parser.parse_args())
