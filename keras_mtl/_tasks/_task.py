"""What is to be learned: `Task`, and the check of a list of tasks."""

import dataclasses
from collections.abc import Sequence

import keras

from keras_mtl._tasks._factories._binary import BinaryFactory
from keras_mtl._tasks._factories._count import CountFactory
from keras_mtl._tasks._factories._generation import GenerationFactory
from keras_mtl._tasks._factories._marginal import MarginalFactory
from keras_mtl._tasks._factories._multiclass import MulticlassFactory
from keras_mtl._tasks._factories._multilabel import MultilabelFactory
from keras_mtl._tasks._factories._ordinal import OrdinalFactory
from keras_mtl._tasks._factories._quantiles import QuantilesFactory
from keras_mtl._tasks._factories._ranking import RankingFactory
from keras_mtl._tasks._factories._regression import RegressionFactory
from keras_mtl._tasks._factories._segmentation import SegmentationFactory
from keras_mtl._tasks._factories._survival import SurvivalFactory
from keras_mtl._tasks._factories._tagging import TaggingFactory
from keras_mtl._tasks._factories._zero_inflated import ZeroInflatedFactory
from keras_mtl._tasks._names import check_log_names


@keras.saving.register_keras_serializable(package="keras_mtl")
@dataclasses.dataclass(frozen=True)
class Task(
    BinaryFactory,
    MulticlassFactory,
    MultilabelFactory,
    RegressionFactory,
    CountFactory,
    OrdinalFactory,
    QuantilesFactory,
    ZeroInflatedFactory,
    SurvivalFactory,
    MarginalFactory,
    GenerationFactory,
    RankingFactory,
    TaggingFactory,
    SegmentationFactory,
):
    """States what is to be learned: a name, a head, a loss and metrics.

    A task holds recipes and never layers, so one list of tasks builds any number of networks.
    The factories (`Task.binary`, `Task.multiclass`, `Task.ordinal`, `Task.marginal`,
    `Task.multilabel`, `Task.regression`, `Task.quantiles`, `Task.count`, `Task.zero_inflated`,
    `Task.survival`, `Task.ranking`, `Task.tagging`, `Task.generation`, `Task.segmentation`) fill in
    a head, a loss, metrics and labels that belong together. Use the constructor for any other
    combination.

    The loss of a task on a batch is sum(w l) / sum(|w|), over its labels on all replicas, with the
    loss l and the sample weight w of a label; 0 for a missing one. So a task counts as much with
    few labels as with many, weights matter relative to each other alone (twice all of them is the
    same loss), and a batch without valid labels adds nothing. Weights of classes keep that
    meaning: in a batch of negatives alone, which weigh 0.1 each, the loss is their plain mean; it
    is not a tenth of it, as in stock Keras, which divides by the number of examples. Weights may
    be negative (advantages, Monte Carlo events): the step then goes where that of stock Keras
    goes.

    What one value of the loss depends on decides what can be missing, and what carries a weight:

    | `reads` | a value depends on | missing labels and weights |
    |---|---|---|
    | `"element"` | one entry of the prediction | of each entry, if it has a label of its own |
    | `"last axis"` | the last axis: classes, a box | of each row; with one label missing it is |
    | `"example"` | all of an example (`CTC`) | of each example; with one label missing it is |
    | `"batch"` | other examples, too (risk sets, `Circle`) | of each example, none but 0 or equal |

    It is known for Keras's losses. A loss of yours is called with small random arrays of the
    shapes of labels and prediction, once, and compared with itself on parts of them; say
    `reads=...` (or give the loss an attribute `reads`) where that is not wanted: if it draws random
    numbers, or changes a state. Its labels are cast to its dtype, as Keras does. It never sees a
    missing label: a valid one stands in its place, without a gradient. A loss over the batch is
    computed of the valid examples of all replicas. `Dice` and `Tversky` are so too, by entry.

    Args:
        name: Becomes the name of the output, the key of the labels, the prefix of the logs and
            the name of the served signature. Letters, digits, `_`, `.` and `-`, beginning with
            a letter.
        head: A `Head`, or a recipe `features -> prediction` that makes new layers at each call.
        loss: A `keras.losses.Loss`, the name of one, or a function of labels and predictions. Its
            reduction is not used: the loss of a task is the mean over the valid labels of the
            global batch. A mask that it sets (`ignore_class`) is kept out of that mean.
        metrics: Names, which `keras_mtl.metrics` lists; `keras.metrics.Metric` objects, which are
            copied for each model, whether their classes are registered or not; or functions of
            labels and predictions, whose values are averaged. Each gets the valid labels in the
            shape that it reads: single labels, rows along the last axis (those without a missing
            label), or columns. It is known what the metrics of Keras read, and found out for
            those of users, or said by their attribute `reads`: `"element"`, `"last axis"`,
            `"column"` (rows with a weight for each entry) or `"batch"` (as they are). A metric
            that does not obey `sample_weight` never sees a missing label. Defaults to no metrics.
        weight: Multiplies the task's loss; finite and not negative. A `keras.Variable` is read in
            each step, so that a callback may change it; it is saved as the number that it holds.
            Defaults to `1.0`.
        columns: Names of the entries of the last axis where each entry is a task of its own,
            whose label may be missing by itself (the assays of a molecule). The task's loss is
            the sum over the columns of their mean losses; balancers see one loss per column, and
            metrics are logged as the mean (`<task>_auc`), the worst and the best column.
            Defaults to `None`: no columns.
        labels: Shape, type and range of the labels, to check them before training. Defaults to
            no check.
        log_columns: Columns whose own metrics are logged, as `<task>_<metric>_<column>`.
            Defaults to none of them.
        reads: What one value of the loss depends on: `"element"`, `"last axis"`, `"example"` or
            `"batch"`. Defaults to `None`: it is known, or found out.
        scale: The `Scale` in which the network learns real-valued labels. The network's output
            and the metrics are in the unit of the labels, the loss is in that of the scale.
            `keras_mtl.data.fit_scales` fits it before the network is built. Defaults to `None`:
            labels are learned as they are.
        threshold: The probability above which a yes-or-no label is decided as yes: by the metrics
            that have a name and cut (`accuracy`, `f1`, `macro_f1`, `mcc`, `balanced_accuracy`,
            `iou`, `precision`, `recall`, and those of Keras: `binary_accuracy`,
            `true_positives`, ...), and in what `keras_mtl.export.saved_model` serves. A sequence
            has one probability for each entry of the prediction's last axis: for each column. Of
            logits, the cut is the logit of the probability. Metric objects keep the threshold
            that they have. `keras_mtl.export.choose_thresholds` chooses it on validation data.
            Defaults to `None`: metrics cut at 0.5, and no decision is served.

    Raises:
        ValueError: If the name cannot name an output, the weight is negative or not finite, a
            loss or metric is unknown or not for such a task, two metrics share a name,
            `log_columns` are not among the columns, the task has columns and its loss is not
            elementwise, or it has a scale and its labels are not real-valued, or a threshold and
            its labels are not yes or no, or several thresholds and another number of labels. The
            message names the task.

    Example:
        >>> task = Task.binary("income", metrics=["auc", "accuracy"], weight=2.0)
        >>> task.metric_names
        ('auc', 'accuracy')
    """


def check_tasks(tasks: Sequence[Task]) -> tuple[Task, ...]:
    """Checks that all entries are tasks with different names, and returns them as a tuple.

    Raises:
        TypeError: If `tasks` is a single task, or an entry is not a `Task`.
        ValueError: If there is no task, or two tasks share a name, or would log under one name.

    Example:
        >>> [task.name for task in check_tasks([Task.binary("click"), Task.binary("buy")])]
        ['click', 'buy']
    """
    if isinstance(tasks, Task):
        raise TypeError(
            f"tasks must be a list of Task; received one: put {tasks.name!r} in a list."
        )
    tasks = tuple(tasks)
    for task in tasks:
        if not isinstance(task, Task):
            raise TypeError(f"tasks must hold Task objects; received {task!r}.")
    names = [task.name for task in tasks]
    doubles = sorted({name for name in names if names.count(name) > 1})
    if doubles or not names:
        raise ValueError(
            f"tasks need at least one task and different names; received {names}"
            + (f", where {doubles} appear more than once." if doubles else ".")
        )
    check_log_names({task.name: task.metric_names for task in tasks})
    return tasks
