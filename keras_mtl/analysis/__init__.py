"""Relations and groups of tasks, fronts of trade-offs, and whether a contender helped.

Most functions take NumPy arrays, lists, dicts by name and data frames, and need neither a network
nor training. Those that look into a network take `(model, dataset, tasks)` first, and leave the
model as it is. All return plain values: names, arrays and tables that print themselves. `figures`
draws them, and `report` writes them as one page.
"""

import importlib
from typing import TYPE_CHECKING, Any

from keras_mtl.analysis._affinity import Affinity, affinity
from keras_mtl.analysis._attributions import Attributions
from keras_mtl.analysis._baselines import Baselines, baselines
from keras_mtl.analysis._blending_weights import blending_weights
from keras_mtl.analysis._compare import compare
from keras_mtl.analysis._compare_scores import compare_scores
from keras_mtl.analysis._comparison import Comparison
from keras_mtl.analysis._correct_jointly import correct_jointly
from keras_mtl.analysis._curves import Curves
from keras_mtl.analysis._gains import Gains, gains
from keras_mtl.analysis._gate_statistics import GateStatistics
from keras_mtl.analysis._gate_use import GateUse, gate_use
from keras_mtl.analysis._gradient_gramian import GradientGramian, gradient_gramian
from keras_mtl.analysis._gramian_statistics import GramianStatistics, gramian_statistics
from keras_mtl.analysis._group_tasks import TaskGroups, group_tasks
from keras_mtl.analysis._hypervolume import hypervolume
from keras_mtl.analysis._integrated_gradients import integrated_gradients
from keras_mtl.analysis._label_relations import LabelRelations, label_relations
from keras_mtl.analysis._learned_relations import LearnedRelations, learned_relations
from keras_mtl.analysis._mean_ranks import mean_ranks
from keras_mtl.analysis._metric import Metric
from keras_mtl.analysis._noise_scale import NoiseScale, noise_scale
from keras_mtl.analysis._pareto_front import ParetoFront, pareto_front
from keras_mtl.analysis._permutation_importance import PermutationImportance, permutation_importance
from keras_mtl.analysis._probe import Probes, probe
from keras_mtl.analysis._rank_sources import SourceRanking, rank_sources
from keras_mtl.analysis._relatedness import Relatedness, relatedness
from keras_mtl.analysis._relation import Relation
from keras_mtl.analysis._relation_table import RelationTable
from keras_mtl.analysis._report import report
from keras_mtl.analysis._representation_similarity import (
    RepresentationSimilarity,
    representation_similarity,
)
from keras_mtl.analysis._saliency import saliency
from keras_mtl.analysis._step_curvature import step_curvature
from keras_mtl.analysis._task_verdict import TaskVerdict
from keras_mtl.analysis._transfer_matrix import TransferMatrix, transfer_matrix
from keras_mtl.analysis._unbiased_gramian import unbiased_gramian
from keras_mtl.analysis._unit_importance import UnitImportance, unit_importance

if TYPE_CHECKING:
    from keras_mtl.analysis import figures

__all__ = [
    "Affinity",
    "Attributions",
    "Baselines",
    "Comparison",
    "Curves",
    "Gains",
    "GateStatistics",
    "GateUse",
    "GradientGramian",
    "GramianStatistics",
    "LabelRelations",
    "LearnedRelations",
    "Metric",
    "NoiseScale",
    "ParetoFront",
    "PermutationImportance",
    "Probes",
    "Relatedness",
    "Relation",
    "RelationTable",
    "RepresentationSimilarity",
    "SourceRanking",
    "TaskGroups",
    "TaskVerdict",
    "TransferMatrix",
    "UnitImportance",
    "affinity",
    "baselines",
    "blending_weights",
    "compare",
    "compare_scores",
    "correct_jointly",
    "figures",
    "gains",
    "gate_use",
    "gradient_gramian",
    "gramian_statistics",
    "group_tasks",
    "hypervolume",
    "integrated_gradients",
    "label_relations",
    "learned_relations",
    "mean_ranks",
    "noise_scale",
    "pareto_front",
    "permutation_importance",
    "probe",
    "rank_sources",
    "relatedness",
    "report",
    "representation_similarity",
    "saliency",
    "step_curvature",
    "transfer_matrix",
    "unbiased_gramian",
    "unit_importance",
]


def __getattr__(name: str) -> Any:
    # Matplotlib loads at first use.
    if name == "figures":
        return importlib.import_module("keras_mtl.analysis.figures")
    raise AttributeError(f"module 'keras_mtl.analysis' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
