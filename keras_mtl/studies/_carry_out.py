"""The course of a study: trials, choices, trainings of the chosen settings, verdicts."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_mtl.analysis._verdicts._read_labels import read_blocks
from keras_mtl.analysis._verdicts._rows import read_margins
from keras_mtl.studies._contenders._contender import BASELINE
from keras_mtl.studies._contenders._network import Network
from keras_mtl.studies._contenders._settings import Settings
from keras_mtl.studies._data._test_rows import LabeledRows, read_test_rows
from keras_mtl.studies._plan import Plan
from keras_mtl.studies._study import Study
from keras_mtl.studies._trainings._job import Job
from keras_mtl.studies._trainings._record import Training
from keras_mtl.studies._trainings._run import Runner
from keras_mtl.studies._trainings._train import Setup
from keras_mtl.studies._verdicts._choose import choose_trial
from keras_mtl.studies._verdicts._floors import score_constants
from keras_mtl.studies._verdicts._judge import Bench, judge
from keras_mtl.studies._verdicts._tables import write_tables

Done = tuple[Job, Training]


def carry_out(plan: Plan, folder: Path, settings: Mapping[str, Any]) -> Study:
    """Does all trainings that are not done yet, and returns the study.

    Args:
        plan: What the study does.
        folder: Its folder.
        settings: What its results depend on.

    Raises:
        RuntimeError: If all trainings of a network of the baseline failed.
        ValueError: If margins or blocks do not fit the tasks and the test rows.
    """
    names = {name: metric.log.removeprefix(f"val_{name}_") for name, metric in plan.metrics.items()}
    rows = read_test_rows(plan.data.open("test", plan.tasks), plan.tasks, names)
    # Now, and not after hours of training, when they are used.
    read_margins(plan.margin, [*names])
    for labels in rows.labels.values():
        read_blocks(plan.blocks, len(labels))
    course = _Course(plan, folder, rows)
    trials = course.run([job for network in plan.networks for job in plan.trials(network)])
    of_baseline = [network for network in plan.networks if network.contender == BASELINE]
    runs: dict[str, list[Done]] = {name: [] for name in plan.contenders}
    runs[BASELINE] = course.train_chosen(of_baseline, trials, None)
    baselines = _baselines(plan, runs[BASELINE])
    rest = [network for network in plan.networks if network.contender != BASELINE]
    for job, training in course.train_chosen(rest, trials, baselines):
        runs[job.network.contender].append((job, training))
    bench = Bench(folder, plan.tasks, plan.metrics, rows, plan.margin, plan.blocks)
    study = Study(
        tasks=tuple(task.name for task in plan.tasks),
        contenders=plan.contenders[1:],
        metrics=names,
        comparisons=judge(runs, bench),
        baselines=baselines,
        floors=score_constants(plan.data, plan.tasks, rows),
        trainings=tuple(t for _, t in [*trials, *(done for of in runs.values() for done in of)]),
        settings=settings,
        folder=folder,
        plan=plan,
        runs=runs,
    )
    write_tables(study)
    return study


class _Course:
    """Runs the trainings of a study."""

    def __init__(self, plan: Plan, folder: Path, rows: LabeledRows) -> None:
        self._plan = plan
        setup = Setup(
            folder,
            plan.data,
            plan.budget.epochs,
            plan.metrics,
            frozenset(rows.labels),
            plan.seed,
            plan.data.steps or plan.fingerprints["train"].batches,
            plan.fingerprints["test"],
            plan.callbacks,
        )
        self._runner = Runner(setup, plan.workers, plan.num_trainings, plan.verbose)

    def run(self, jobs: Sequence[Job]) -> list[Done]:
        """Returns the jobs with their records."""
        return list(zip(jobs, self._runner.run(jobs), strict=True))

    def train_chosen(
        self,
        networks: Sequence[Network],
        trials: Sequence[Done],
        baselines: Mapping[str, float] | None,
    ) -> list[Done]:
        """Trains networks with their best settings; leaves out one whose trials all failed."""
        jobs = []
        for network in networks:
            of_network = [training for job, training in trials if job.network is network]
            if of_network:
                choice = choose_trial(of_network, self._plan.metrics, baselines)
                if choice is None:
                    continue
                best = choice.training
                settings = Settings(best.learning_rate, best.weights, best.hyper_parameters)
            else:
                settings = network.settings_of(0, self._plan.seed)
            jobs += self._plan.seeds(network, settings, baselines)
        return self.run(jobs)


def _baselines(plan: Plan, runs: Sequence[Done]) -> dict[str, float]:
    """Returns the validation metric of each task of the baseline, the mean over its seeds.

    Raises:
        RuntimeError: If a task has none.
    """
    values: dict[str, list[float]] = {task.name: [] for task in plan.tasks}
    for _, training in runs:
        if training.state == "done" and training.best_epoch is not None:
            for name, value in training.values(training.best_epoch).items():
                values[name].append(value)
    missing = [name for name, entries in values.items() if not entries]
    if missing:
        errors = [training.error for _, training in runs if training.error]
        raise RuntimeError(
            f"all trainings of the baseline of {missing} failed, so that nothing can be compared; "
            f"the first error: {errors[0] if errors else 'no trial had finite metrics'}"
        )
    return {name: math.fsum(entries) / len(entries) for name, entries in values.items()}
