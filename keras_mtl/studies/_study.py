"""The result of a study."""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from keras_mtl.analysis import Comparison
from keras_mtl.studies._contenders._contender import BASELINE
from keras_mtl.studies._plan import Plan
from keras_mtl.studies._trainings._record import Training
from keras_mtl.studies._verdicts._best import best_contender, rebuild
from keras_mtl.studies._verdicts._tables import Runs, table_of


@dataclasses.dataclass(frozen=True)
class Study:
    """Holds the result of a study; `print` shows the table of verdicts.

    Its folder holds the same as files: `study.json` (settings, versions, fingerprints of the data),
    `verdicts.csv`, `trainings.csv`, and a record, weights and test predictions for each training.

    Args:
        tasks: The names of the tasks.
        contenders: The names of the contenders, without the baseline.
        metrics: By task, the name of its metric.
        comparisons: By contender, its comparison with the baseline on the test rows; a contender
            whose trainings all failed has none.
        baselines: By task, the validation metric of the baseline, the mean over its seeds, as
            `tuning.search_task_weights` and `callbacks.KeepBest` take it.
        floors: By task, or `"task[column]"`, what the best constant answer scores on the test rows:
            the share of each class or of yes, the median or mean of numbers in the training data.
            Tasks whose metric Keras alone computes have none.
        trainings: All trainings, those that failed too.
        settings: The budget, the tasks, versions, and fingerprints of the data.
        folder: The folder of the study.
        plan: What was done.
        runs: By contender, the trainings of the chosen settings.

    Example:
        >>> import keras
        >>> import tensorflow as tf
        >>> import keras_mtl as mtl
        >>> data = mtl.datasets.synthetic_groups(1, 1, rows=(64, 64, 64))
        >>> def build(tasks):
        ...     return mtl.architectures.hard_sharing(keras.Input((32,)), tasks)
        >>> study = mtl.studies.compare(
        ...     {"network": build},
        ...     data.tasks, data.train.batch(32), data.validation.batch(32), data.test.batch(32),
        ...     budget=mtl.studies.Budget(trials=1, epochs=1, seeds=1), verbose=False,
        ... )
        >>> study.comparisons["network"].row("task_0").difference  # one task has nothing to share
        0.0
        >>> list(study.best().output)
        ['task_0']
    """

    tasks: tuple[str, ...]
    contenders: tuple[str, ...]
    metrics: Mapping[str, str]
    comparisons: Mapping[str, Comparison]
    baselines: Mapping[str, float]
    floors: Mapping[str, float]
    trainings: tuple[Training, ...]
    settings: Mapping[str, Any]
    folder: Path
    plan: Plan = dataclasses.field(repr=False)
    runs: Runs = dataclasses.field(repr=False)

    def __str__(self) -> str:
        return table_of(self)

    @property
    def failures(self) -> tuple[Training, ...]:
        """The trainings that failed."""
        return tuple(training for training in self.trainings if training.state == "failed")

    def best_name(self) -> str:
        """Returns the name of the contender, or of the baseline, that is best on validation data.

        It has the highest mean over seeds of the mean gain over tasks. Test rows have no part in
        it, so that it may differ from what the verdicts suggest.
        """
        return best_contender(self)

    def best(self, contender: str | None = None) -> keras.Model:
        """Rebuilds a trained network, ready for `export.saved_model`.

        Args:
            contender: The name of the contender, or of the baseline. Defaults to the best by
                validation data.

        Returns:
            Its network from the seed that was best on validation data, without a balancer. Several
            networks, of the baseline or of groups, become one with common inputs.

        Raises:
            ValueError: If there is no such contender, or none of its seeds has a network of all
                tasks.
        """
        name = self.best_name() if contender is None else contender
        if name not in (BASELINE, *self.contenders):
            raise ValueError(
                f"contender is {name!r}; expected one of {[BASELINE, *self.contenders]}."
            )
        return rebuild(self, name)

    def report(
        self, path: str | os.PathLike[str], *, title: str = "Did multi-task learning help?"
    ) -> None:
        """Writes the study as one page of HTML, with its numbers as JSON and CSV beside it.

        The page needs no network and no script, and opens from disk.

        Args:
            path: Where to write, ending in `.html`.
            title: The title of the page.
        """
        # Jinja2 and Matplotlib load at first use.
        from keras_mtl.studies._verdicts._sections import write_report

        write_report(self, path, title)
