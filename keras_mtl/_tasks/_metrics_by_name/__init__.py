"""Metrics that Keras lacks, or computes otherwise: one per file.

They are public as `keras_mtl.metrics`. `_named_metrics` says which name stands for which of them.
Each has two attributes: `reads` (see `_metric_reading`) and `kinds`, the kinds of task that it is
for (see `_output`). For a new metric, write one file here, and one line in `_named_metrics`.

    _auc                area under the ROC curve and the precision-recall curve, for rare labels
    _class_counts       counts of labels, predictions and hits per class; made of these are
                        _f1, _macro_f1, _balanced_accuracy, _mcc and _iou
    _class_accuracy     share of right classes
    _rank_counts        counts of decisions per label, of ordered classes; made of these are
                        _rank_mae and _kappa
    _pinball, _coverage_error  of quantiles
    _concordance        of times until an event
    _calibration_error  distance of probabilities from rates
    _log_loss           negative log-likelihood; _perplexity: its exponential
    _spearman           rank correlation
    _ndcg, _mrr, _group_auc  of lists, one per example
    _span_f1            of spans in tagged sequences
"""

from keras_mtl._tasks._metrics_by_name._auc import AUC
from keras_mtl._tasks._metrics_by_name._balanced_accuracy import BalancedAccuracy
from keras_mtl._tasks._metrics_by_name._calibration_error import CalibrationError
from keras_mtl._tasks._metrics_by_name._class_accuracy import ClassAccuracy
from keras_mtl._tasks._metrics_by_name._concordance import Concordance
from keras_mtl._tasks._metrics_by_name._coverage_error import CoverageError
from keras_mtl._tasks._metrics_by_name._f1 import F1
from keras_mtl._tasks._metrics_by_name._group_auc import GroupAUC
from keras_mtl._tasks._metrics_by_name._iou import IoU
from keras_mtl._tasks._metrics_by_name._kappa import Kappa
from keras_mtl._tasks._metrics_by_name._log_loss import LogLoss
from keras_mtl._tasks._metrics_by_name._macro_f1 import MacroF1
from keras_mtl._tasks._metrics_by_name._mcc import MCC
from keras_mtl._tasks._metrics_by_name._mrr import MRR
from keras_mtl._tasks._metrics_by_name._ndcg import NDCG
from keras_mtl._tasks._metrics_by_name._perplexity import Perplexity
from keras_mtl._tasks._metrics_by_name._pinball import PinballLoss
from keras_mtl._tasks._metrics_by_name._rank_mae import RankMAE
from keras_mtl._tasks._metrics_by_name._span_f1 import SpanF1
from keras_mtl._tasks._metrics_by_name._spearman import Spearman

__all__ = [
    "AUC",
    "F1",
    "MCC",
    "MRR",
    "NDCG",
    "BalancedAccuracy",
    "CalibrationError",
    "ClassAccuracy",
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
