"""What a constant, a linear and a boosted model reach on each task."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis._metric import Metric
from keras_mtl.analysis._plain_models._models import MODELS, Problem, answer
from keras_mtl.analysis._plain_models._tables import Table, read_table
from keras_mtl.analysis._printing._tables import format_number, format_table
from keras_mtl.analysis._verdicts._cells import cut_cells
from keras_mtl.analysis._verdicts._read_labels import TaskLabels, read_labels
from keras_mtl.analysis._verdicts._read_metrics import read_metrics
from keras_mtl.analysis._verdicts._read_predictions import read_predictions
from keras_mtl.analysis._verdicts._scores import score

_OF_NUMBERS = {"mae", "mse", "rmse", "r2", "spearman"}


@dataclasses.dataclass(frozen=True)
class Baselines:
    """Holds the scores of plain models, one per task. `print` shows them as a table.

    Args:
        scores: By row, `(task, column, metric)` with `None` for a task without columns, the score
            of each kind of model on the test rows. NaN where a metric does not exist for it.
        predictions: By kind of model, the predictions of the test rows by task: `[n]`, `[n, C]` for
            C columns or classes. `compare` takes them as baseline or as contender.

    Example:
        >>> import numpy as np
        >>> table = Baselines({("age", None, "mae"): {"constant": 12.31, "linear": 8.04}}, {})
        >>> print(table)
        task  metric  constant  linear
        age   mae        12.31    8.04
    """

    scores: Mapping[tuple[str, str | None, str], Mapping[str, float]]
    predictions: Mapping[str, Mapping[str, FloatArray]]

    def __str__(self) -> str:
        kinds = [*next(iter(self.scores.values()))]
        rows = [
            [_name(task, column), metric, *(format_number(values[kind], 4) for kind in kinds)]
            for (task, column, metric), values in self.scores.items()
        ]
        widest = max(len("metric"), *(len(row[1]) for row in rows))
        rows = [[row[0], row[1].ljust(widest), *row[2:]] for row in rows]
        return format_table(["task", "metric".ljust(widest), *kinds], rows)


def baselines(
    train: tuple[Any, Any],
    test: tuple[Any, Any],
    metrics: Any,
    *,
    kinds: Sequence[str] = ("constant", "linear", "boosted"),
    seed: int = 0,
) -> Baselines:
    """Computes what a constant, a linear and a boosted model reach on each task alone.

    - `"constant"`: the share of each class, the mean of numbers, for `mae` their median.
    - `"linear"`: a logistic regression, or a ridge regression for numbers. The penalty is chosen on
      training rows: on a fifth of them that is held out, or by leave-one-out for numbers.
    - `"boosted"`: gradient boosting of trees by histograms, 500 trees at most; a tenth of the
      training rows says when to stop.

    Choose it before any network is trained on a table: one that is not better than boosting has no
    place there, whatever is shared. Not for texts, images and sequences, unless features of them
    are passed: for those the single-task networks of `studies.compare` are the measure.

    Numbers may be missing: the linear model puts the median in their place and gets a flag, the
    boosted one knows NaN. Texts are categories; one that only test rows have counts as none.

    Args:
        train: `(inputs, labels)` of the training rows. Inputs: an array `[n, d]`, a data frame, or
            a dict of columns. Labels as `compare` takes them: by task, `[n]` or `[n, C]`, NaN where
            one is missing.
        test: `(inputs, labels)` of other rows, with the same columns and tasks, in any order.
        metrics: A name, a `Metric`, or a sequence of them; for all tasks, or by task: those of
            `compare`. `mae`, `mse`, `rmse`, `r2` and `spearman` make a task one of numbers, all
            other names one of classes. With a function, labels 0 and 1 are classes and others
            numbers.
        kinds: Some of the three.
        seed: What is drawn depends on it.

    Returns:
        The scores, and the predictions of the test rows.

    Raises:
        TypeError: If inputs or labels have a wrong type.
        ValueError: If rows, columns, tasks or metrics do not fit, or a kind is unknown.

    Example:
        >>> import numpy as np
        >>> x = np.random.default_rng(0).normal(size=(400, 3))
        >>> labels = {"income": (x[:, 0] * x[:, 1] > 0).astype(int), "age": x[:, 2]}
        >>> train = x[:300], {name: values[:300] for name, values in labels.items()}
        >>> test = x[300:], {name: values[300:] for name, values in labels.items()}
        >>> table = baselines(train, test, {"income": "auc", "age": "r2"})
        >>> row = table.scores["income", None, "auc"]
        >>> row["constant"], row["linear"] < 0.7, row["boosted"] > 0.9
        (0.5, True, True)
        >>> table.scores["age", None, "r2"]["linear"] > 0.99
        True
        >>> answers = table.predictions["boosted"]["income"]  # `compare(..., baseline=...)`

    Reference:
        `LogisticRegression`, `RidgeCV` and `HistGradientBoostingClassifier` of scikit-learn
        (Pedregosa et al. 2011). Why boosting is the bar for tables: Grinsztajn et al. 2022,
        arXiv:2207.08815.
    """
    if isinstance(kinds, str) or not kinds or not {*kinds} <= {*MODELS}:
        raise ValueError(f"kinds is {kinds!r}; expected a list of some of {[*MODELS]}.")
    x = read_table(train[0], "train")
    other_x = read_table(test[0], "test", reference=x)
    y, other_y = read_labels(train[1]), read_labels(test[1])
    _check_fit(x, other_x, y, other_y)
    read = read_metrics(metrics, [*other_y])
    predictions: dict[str, dict[str, FloatArray]] = {
        kind: {
            task: _answer_task(kind, (x, y[task]), (other_x, labels), read[task], seed)
            for task, labels in other_y.items()
        }
        for kind in kinds
    }
    scores: dict[tuple[str, str | None, str], dict[str, float]] = {}
    for kind, by_task in predictions.items():
        of_seed = read_predictions(by_task, other_y, kind)
        for cell in cut_cells(other_y, of_seed, of_seed, read):
            key = cell.task, cell.column, cell.metric.name
            scores.setdefault(key, {})[kind] = score(cell)
    return Baselines(scores, predictions)


def _answer_task(
    kind: str,
    train: tuple[Table, TaskLabels],
    test: tuple[Table, TaskLabels],
    metrics: Sequence[Metric],
    seed: int,
) -> FloatArray:
    """Returns the answers of a kind of model for the test rows: `[n]`, or `[n, C]`."""
    values, other = train[1].values, test[1].values
    num_classes = _count_classes(np.concatenate([values, other]), metrics)
    columns = values[:, None] if values.ndim == 1 else values
    answers = []
    for labels in columns.T:
        labeled = ~np.isnan(labels)
        if not labeled.any():  # nothing is known of this column
            labeled, labels = np.ones(len(labels), bool), np.zeros(len(labels))
        problem = Problem(
            _matrix(train[0])[labeled],
            labels[labeled],
            _matrix(test[0]),
            train[0].numbers.shape[1],
            num_classes,
            metrics[0].name == "mae",
            seed,
        )
        column = answer(kind, problem)
        answers.append(column[:, 1] if num_classes == 2 else column)
    return answers[0] if values.ndim == 1 else np.stack(answers, axis=1)


def _count_classes(labels: FloatArray, metrics: Sequence[Metric]) -> int | None:
    """Returns the number of classes, 2 for yes and no, or `None` for numbers."""
    known = labels[~np.isnan(labels)]
    is_binary = bool(np.isin(known, (0.0, 1.0)).all())
    by_name = [metric.name for metric in metrics if metric.function is None]
    if any(name in _OF_NUMBERS for name in by_name) or not (by_name or is_binary):
        return None
    if labels.ndim == 2 or is_binary or (known != np.floor(known)).any() or known.min() < 0:
        return 2  # what is wrong is said where the metric reads the labels
    return int(known.max()) + 1


def _matrix(table: Table) -> Any:
    if not table.texts.shape[1]:
        return table.numbers
    return np.concatenate([table.numbers.astype(object), table.texts], axis=1)


def _check_fit(
    x: Table, other_x: Table, y: Mapping[str, TaskLabels], other_y: Mapping[str, TaskLabels]
) -> None:
    """Checks that training and test rows have the same tasks, and as many labels as inputs.

    Raises:
        ValueError: If they have not.
    """
    if set(y) != set(other_y):
        raise ValueError(f"train has the tasks {sorted(y)} and test {sorted(other_y)}.")
    for part, table, labels in (("train", x, y), ("test", other_x, other_y)):
        rows = len(next(iter(labels.values())).values)
        if rows != len(table):
            raise ValueError(f"{part} has {len(table)} rows of inputs and {rows} of labels.")
    for task, known in y.items():
        if known.columns != other_y[task].columns:
            raise ValueError(
                f"task {task!r} has the columns {known.columns} in train and "
                f"{other_y[task].columns} in test; expected the same ones."
            )


def _name(task: str, column: str | None) -> str:
    return task if column is None else f"{task}[{column}]"
