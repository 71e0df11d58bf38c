"""Whether tasks should share a network: all of them, groups of them, or none."""

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from keras_mtl._tasks import Task, check_tasks
from keras_mtl.data._elements._numbers import read_number, read_whole
from keras_mtl.studies._advice._answer import Answer, find_answer
from keras_mtl.studies._advice._fit_budget import fit_budget
from keras_mtl.studies._advice._groups import Groups, find_groups
from keras_mtl.studies._advice._pilot import Pilot, run_pilot
from keras_mtl.studies._advice._short_list import SHARE_ALL, Rule, make_short_list
from keras_mtl.studies._budget import Budget
from keras_mtl.studies._compare import compare
from keras_mtl.studies._contenders._contender import Contender
from keras_mtl.studies._contenders._read import read_networks, read_optimizer, read_rates
from keras_mtl.studies._data._parts import StudyData
from keras_mtl.studies._study import Study
from keras_mtl.studies._trainings._folder import open_folder


@dataclasses.dataclass(frozen=True)
class Advice:
    """Holds the answer of `advise`, and its evidence. `print` shows both.

    Args:
        answer: `"share all"`, `"share groups"` or `"do not share"`.
        contender: The contender on which the answer rests.
        reason: The answer's reason, a sentence.
        groups: The groups of related tasks that were found, and compared if they stand apart;
            empty if there are none.
        rules: Which contenders were chosen, and why.
        dropped: The contenders for which there was no time.
        pilot: Relatedness and conflict of the tasks in a network of all of them.
        study: The comparison of the contenders with one network per task.

    Example:
        >>> advice = Advice("do not share", "share all", "no gain is seen", (), (), (), None, None)
        >>> print(advice)
        Answer: do not share, since no gain is seen.
        <BLANKLINE>
        Chosen by rules:
        <BLANKLINE>
        None
    """

    answer: Answer
    contender: str
    reason: str
    groups: Groups
    rules: tuple[Rule, ...]
    dropped: tuple[str, ...]
    pilot: Pilot
    study: Study

    def __str__(self) -> str:
        groups = f" {_text(self.groups)}" if self.answer == "share groups" else ""
        lines = [f"Answer: {self.answer}{groups}, since {self.reason}.", "", "Chosen by rules:"]
        lines += [f"  {rule}" for rule in self.rules]
        if self.dropped:
            lines.append(f"  no time for: {', '.join(self.dropped)}")
        return "\n".join([*lines, "", str(self.study)])


def _text(groups: Groups) -> str:
    return " ".join("{" + ", ".join(group) + "}" for group in groups)


def advise(
    build: Callable[[Sequence[Task]], keras.Model],
    tasks: Sequence[Task],
    train: Any,
    validation: Any,
    test: Any,
    *,
    minutes: float,
    epochs: int = 10,
    contenders: Mapping[str, Any] | None = None,
    directory: str | os.PathLike[str] | None = None,
    optimizer: Any = keras.optimizers.Adam,
    learning_rate: Any = (1e-4, 1e-2),
    margin: float | Mapping[str, float] = 0.0,
    metrics: str | Mapping[str, Any] | None = None,
    workers: int = 1,
    seed: int = 0,
    steps_per_epoch: int | None = None,
    overwrite: bool = False,
    verbose: bool = True,
) -> Advice:
    """Answers whether tasks should share a network, within a budget of minutes.

    1. A pilot trains all tasks together, and measures whether their gradients point against each
       other in its first eighth, and how much they use the same variables at the end.
    2. A short list of contenders is chosen by rules, which `print` shows with what they saw:

       | contender | if |
       |---|---|
       | `share all` | always |
       | `share groups` | tasks use the same variables within groups: silhouette of .25 or more |
       | `share all, UPGrad` | gradients of two tasks conflict: cosine below -.3, beyond noise |
       | `share all, uncertainty` | labels are of different kinds |
       | `share all, MMoE` | inputs are one table of numbers, and there are 12 tasks or fewer |

       Rules on gradients are for up to 16 losses.

    3. `compare` trains them beside one network per task: as many trials and seeds as fit into the
       minutes. If too few fit, the list gets shorter from its end.
    4. The contender that is best on validation data is asked. If its mean gain on test rows is
       above 0 beyond chance, sharing is advised in its way; in all other cases, it is not.

    Choose it as the first step on new data. Choose `compare` when you know what you want to
    compare. "Do not share" says that nothing shows a gain, not that sharing does harm: one network
    may still be worth its lower cost of serving, and the table says what it may lose.

    Args:
        build: `build(tasks)` returns a new network in which the tasks that it receives share a
            body, such as `architectures.hard_sharing(inputs, tasks)`. It is called with all tasks,
            with groups, and with single tasks.
        tasks: The tasks, at least two.
        train: As for `compare`.
        validation: As for `compare`.
        test: As for `compare`.
        minutes: The time for all trainings. It is a plan, made from the time of the pilot, and not
            a limit.
        epochs: The number of epochs of each training.
        contenders: Further contenders, as for `compare`. They come after the first, `share all`.
        directory: As for `compare`. It holds the pilot too.
        optimizer: As for `compare`.
        learning_rate: As for `compare`.
        margin: As for `compare`.
        metrics: As for `compare`.
        workers: As for `compare`.
        seed: As for `compare`.
        steps_per_epoch: As for `compare`.
        overwrite: As for `compare`.
        verbose: As for `compare`.

    Returns:
        An `Advice`; its `study` has tables, the report and the trained networks.

    Raises:
        TypeError: If an argument has a wrong type.
        ValueError: If there is one task, tasks share no variable in the network, the minutes are
            too few, or for the reasons of `compare`.

    Example:
        >>> import keras_mtl as mtl
        >>> data = mtl.datasets.synthetic_groups(2, 1, rows=(96, 64, 64))
        >>> def build(tasks):
        ...     return mtl.architectures.hard_sharing(keras.Input((32,)), tasks, shared=(8,))
        >>> batches = [part.batch(32) for part in (data.train, data.validation, data.test)]
        >>> advise(build, data.tasks, *batches, minutes=0.01, epochs=1)
        Traceback (most recent call last):
            ...
        ValueError: minutes is 0.01; one training takes about ... s, so that the least study, of 3
        networks and 3 seeds each, needs about ... minutes. Allow more minutes or workers, or fewer
        epochs.

    Reference:
        Relatedness by the diagonal of the Fisher information (Task2Vec, arXiv:1902.03545) of the
        shared variables. It is blind to signs, so that it finds tasks which need the same features
        with different heads; TAG (arXiv:2109.04617) groups by signed affinities. Groups are cut
        from average linkage where the silhouette is highest.
    """
    tasks = check_tasks(tasks)
    if len(tasks) < 2:
        raise ValueError(
            f"there is one task, {tasks[0].name!r}; whether to share needs at least two."
        )
    minutes = read_number(minutes, "minutes is", low=0.0, above=True)
    budget = Budget(1, epochs, 1)
    data = StudyData(train, validation, test, steps_per_epoch)
    data.check(tasks)
    (network,) = read_networks(
        {SHARE_ALL: Contender(build)}, tasks, read_optimizer(optimizer), read_rates(learning_rate)
    )
    folder = _open(directory, tasks, budget.epochs, read_whole(seed, "seed is", low=0), overwrite)
    pilot = run_pilot(network, data, budget.epochs, seed, folder)
    assert pilot is not None
    grouping = find_groups(pilot.relatedness, pilot.tasks)
    body = getattr(built := build(tasks), "network", built)
    listed, rules = make_short_list(build, tasks, body, pilot, grouping)
    listed = {SHARE_ALL: listed.pop(SHARE_ALL), **(contenders or {}), **listed}
    sizes = [len(tasks)]
    sizes += [len(c.groups or "1") if isinstance(c, Contender) else 1 for c in listed.values()]
    fitted, kept = fit_budget(sizes, pilot.seconds, minutes, budget.epochs, workers)
    study = compare(
        dict(list(listed.items())[:kept]),
        tasks,
        train,
        validation,
        test,
        budget=fitted,
        directory=folder / "study",
        baseline=build,
        metrics=metrics,
        margin=margin,
        optimizer=optimizer,
        learning_rate=learning_rate,
        workers=workers,
        seed=seed,
        steps_per_epoch=steps_per_epoch,
        overwrite=overwrite,
        verbose=verbose,
    )
    answer, name, reason = find_answer(study)
    groups = grouping.groups if grouping is not None else ()
    dropped = tuple(listed)[kept:]
    return Advice(answer, name, reason, groups, tuple(rules), dropped, pilot, study)


def _open(
    directory: str | os.PathLike[str] | None,
    tasks: Sequence[Task],
    epochs: int,
    seed: int,
    overwrite: bool,
) -> Path:
    settings = {"advice": [task.name for task in tasks], "epochs": epochs, "seed": seed}
    folder = open_folder(directory, settings, overwrite)
    if overwrite:
        (folder / "pilot.json").unlink(missing_ok=True)
    return folder
