"""Metrics that Keras lacks, or computes otherwise.

A task takes them by name, with arguments that fit the task:

| name | value on the valid labels | for labels |
|---|---|---|
| `accuracy` | share of right classes | yes or no, classes |
| `auc`, `pr_auc` | area under the ROC curve; average precision | yes or no |
| `macro_auc` | mean AUC of several labels, or of each class against the others | several |
| `f1` | F1 score of all labels together (micro) | yes or no |
| `macro_f1` | mean F1 score of the classes, or of the labels of an example | yes or no, classes |
| `balanced_accuracy` | mean recall of the classes | yes or no, classes |
| `mcc` | Matthews's correlation coefficient | yes or no, classes |
| `iou` | intersection over union: of the ones, or the mean of the classes | yes or no, classes |
| `log_loss` | mean negative log-likelihood | yes or no, classes |
| `perplexity` | exponential of `log_loss` | tokens, classes |
| `calibration_error` | mean distance of probabilities from rates, in 15 bins | yes or no, classes |
| `span_f1` | F1 score of spans | tags: `Task.tagging(name, tags)`, or `SpanF1(tags)` |
| `gauc` | mean AUC of the lists, one list per example | lists of yes or no |
| `ndcg`, `ndcg_10` | discounted gain of the lists, of all ranks or the first 10 | lists |
| `mae`, `rmse`, `r2` | mean error, root mean squared error, explained variance | numbers |
| `mape` | mean error in percent of the label; huge where labels are near 0 | numbers |
| `mrr` | mean reciprocal rank of the first relevant item | lists |
| `concordance` | share of pairs in the right order | times until an event |
| `rank_mae` | mean distance of the median class from the label | classes with an order |
| `kappa` | Cohen's kappa with quadratic weights | classes with an order |
| `pinball` | mean pinball loss, in the unit of the labels | quantiles |
| `coverage_error` | mean distance of shares below the quantiles from their levels | quantiles |
| `spearman` | rank correlation | numbers |

Other names are those of Keras. A name that means nothing for a task is refused, with another
that does. Of several labels per example, a metric is of all labels together, each with its own
weight; of columns, it is the mean of the columns. Take the classes of this package for other
arguments.
"""

from keras_mtl._tasks._metrics_by_name import (
    AUC,
    F1,
    MCC,
    MRR,
    NDCG,
    BalancedAccuracy,
    CalibrationError,
    Concordance,
    CoverageError,
    GroupAUC,
    IoU,
    Kappa,
    LogLoss,
    MacroF1,
    Perplexity,
    PinballLoss,
    RankMAE,
    SpanF1,
    Spearman,
)

__all__ = [
    "AUC",
    "F1",
    "MCC",
    "MRR",
    "NDCG",
    "BalancedAccuracy",
    "CalibrationError",
    "Concordance",
    "CoverageError",
    "GroupAUC",
    "IoU",
    "Kappa",
    "LogLoss",
    "MacroF1",
    "Perplexity",
    "PinballLoss",
    "RankMAE",
    "SpanF1",
    "Spearman",
]
