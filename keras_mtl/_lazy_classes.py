"""Classes that Keras finds by name when it loads a saved model, before their modules are imported.

Keras imports no module of a package that is not its own: it looks the saved name up among the
classes whose modules happen to be imported (docs/keras_notes.md, 113). The rooms of this package
load at first use, so a stand-in is registered for each of their classes. It imports the module of
the class as soon as Keras reads anything of it, and the decorator of the class then takes the
place of the stand-in.

`import keras_mtl` does not import Keras: servers run without it. The stand-ins are registered at
once if Keras is imported already, and otherwise as the last step of the import of Keras.
"""

import importlib
import importlib.machinery
import sys
import types
from typing import Any

# begin: classes, by scripts/make_tables.py
_MODULES = {
    "AUC": "_tasks._metrics_by_name._auc",
    "AdaTask": "balancers._adatask",
    "Adapter": "layers._adapter",
    "Adversarial": "training._adversaries._adversarial",
    "AlignedMTL": "balancers._aligned_mtl",
    "Ascending": "_tasks._kinds._quantiles",
    "AttentiveMessages": "layers._attentive_messages",
    "AutoLambda": "balancers._auto_lambda",
    "BalancedAccuracy": "_tasks._metrics_by_name._balanced_accuracy",
    "BalancedModel": "training._balanced_model",
    "BottleneckFusion": "layers._bottleneck_fusion",
    "Branch": "data._branch",
    "Branching": "layers._branching",
    "CAGrad": "balancers._cagrad",
    "COSMOS": "balancers._cosmos",
    "CRMOGM": "balancers._cr_mogm",
    "CalibrationError": "_tasks._metrics_by_name._calibration_error",
    "CategoryCodes": "data._tables._category_codes",
    "ChannelSlice": "layers._channel_slice",
    "ClassAccuracy": "_tasks._metrics_by_name._class_accuracy",
    "ClassBalanced": "_tasks._class_balanced_loss",
    "CoV": "balancers._cov",
    "ColumnMetric": "_tasks._column_metric",
    "ColumnView": "_tasks._column_view",
    "ConFIG": "balancers._config_grad",
    "Concordance": "_tasks._metrics_by_name._concordance",
    "Consistency": "unlabeled._consistency",
    "CounterfactualRisk": "layers._counterfactual_risk",
    "CoverageError": "_tasks._metrics_by_name._coverage_error",
    "CoxPartialLikelihood": "_tasks._kinds._cox",
    "CrossStitch": "layers._cross_stitch",
    "DBMTL": "balancers._db_mtl",
    "DSelectKGate": "layers._dselect_k",
    "DTP": "balancers._dtp",
    "DWA": "balancers._dwa",
    "DecodeImages": "data._decode_images",
    "DualProj": "balancers._dual_proj",
    "EPO": "balancers._epo",
    "Equal": "balancers._equal",
    "ExcessMTL": "balancers._excess_mtl",
    "ExpectationCalibrator": "layers._expectation_calibrator",
    "ExpertNormalization": "layers._expert_normalization",
    "Experts": "layers._experts",
    "F1": "_tasks._metrics_by_name._f1",
    "FAMO": "balancers._famo",
    "FORUM": "balancers._forum",
    "FactorizedDense": "layers._factorized_dense",
    "FairGrad": "balancers._fairgrad",
    "FeatureGate": "layers._feature_gate",
    "FeaturePropagation": "layers._feature_propagation",
    "FiLM": "layers._film",
    "FillMissing": "layers._fill_missing",
    "Fixed": "balancers._fixed",
    "Frozen": "layers._frozen",
    "FunctionLoss": "_tasks._function_loss",
    "GO4Align": "balancers._go4align",
    "GateNU": "layers._gate_nu",
    "GatedFusion": "layers._gated_fusion",
    "GeometricMean": "balancers._geometric_mean",
    "GradDrop": "balancers._graddrop",
    "GradNorm": "balancers._gradnorm",
    "GradOPS": "balancers._gradops",
    "GradVac": "balancers._gradvac",
    "GradientGate": "balancers._gradient_gate",
    "GradientModulation": "training._modulation._gradient_modulation",
    "GradientReversal": "layers._gradient_reversal",
    "GradientSimilarity": "balancers._gradient_similarity",
    "GroupAUC": "_tasks._metrics_by_name._group_auc",
    "GroupProbabilities": "_tasks._kinds._marginal",
    "GroupSparsity": "layers._group_sparsity",
    "HazardLikelihood": "_tasks._kinds._hazards",
    "Head": "_tasks._head",
    "Hierarchy": "rules._hierarchy",
    "IMTLG": "balancers._imtl_g",
    "IMTLL": "balancers._imtl_l",
    "Implies": "rules._implies",
    "InformationTransfer": "layers._information_transfer",
    "InverseScale": "_tasks._scale_layer",
    "IoU": "_tasks._metrics_by_name._iou",
    "JointLogit": "layers._joint_logit",
    "Kappa": "_tasks._metrics_by_name._kappa",
    "KeepNear": "transfer._keep_near",
    "Krum": "balancers._krum",
    "LayerStitch": "layers._layer_stitch",
    "ListMLE": "_tasks._kinds._list_losses",
    "ListNet": "_tasks._kinds._list_losses",
    "ListSoftmax": "_tasks._kinds._list_losses",
    "LogLoss": "_tasks._metrics_by_name._log_loss",
    "LowRankBody": "layers._low_rank_body",
    "LowRankFactors": "layers._low_rank_factors",
    "MCC": "_tasks._metrics_by_name._mcc",
    "MConFIG": "balancers._m_config",
    "MGDA": "balancers._mgda",
    "MOML": "balancers._moml",
    "MRR": "_tasks._metrics_by_name._mrr",
    "MacroF1": "_tasks._metrics_by_name._macro_f1",
    "MarginalHead": "_tasks._kinds._marginal",
    "MaskedGate": "layers._masked_gate",
    "MaxConstraint": "rules._max_constraint",
    "MeanLoss": "_tasks._mean_loss",
    "MetaBalance": "balancers._meta_balance",
    "MetaModel": "training._meta._meta_model",
    "Mixture": "layers._mixture",
    "MoCo": "balancers._moco",
    "MoDo": "balancers._modo",
    "ModalityDropout": "layers._modality_dropout",
    "Monotonic": "rules._monotonic",
    "NDCG": "_tasks._metrics_by_name._ndcg",
    "NDDR": "layers._nddr",
    "NTXent": "unlabeled._nt_xent",
    "NashMTL": "balancers._nash_mtl",
    "NumericColumns": "data._tables._numeric_columns",
    "OneOf": "rules._one_of",
    "Ordered": "rules._ordered",
    "OrdinalCrossentropy": "_tasks._kinds._ordinal",
    "OrdinalHead": "_tasks._kinds._ordinal",
    "OrdinalProbabilities": "_tasks._kinds._ordinal",
    "Orthogonality": "layers._orthogonality",
    "PBI": "balancers._pbi",
    "PCD": "balancers._pcd",
    "PCGrad": "balancers._pcgrad",
    "PEMTL": "balancers._pe_mtl",
    "PairwiseLogistic": "_tasks._kinds._list_losses",
    "ParallelDense": "layers._parallel_dense",
    "ParetoMTL": "balancers._pareto_mtl",
    "PeriodicEmbedding": "layers._periodic_embedding",
    "Perplexity": "_tasks._metrics_by_name._perplexity",
    "PickBranch": "layers._pick_branch",
    "PiecewiseLinearEncoding": "layers._piecewise_linear_encoding",
    "Pinball": "_tasks._kinds._quantiles",
    "PinballLoss": "_tasks._metrics_by_name._pinball",
    "PresenceFlags": "layers._presence_flags",
    "PseudoLabels": "unlabeled._pseudo_labels",
    "QuantileHead": "_tasks._kinds._quantiles",
    "RandomWeighting": "balancers._random_weighting",
    "RankMAE": "_tasks._metrics_by_name._rank_mae",
    "RuleProjection": "rules._projection_layer",
    "SDMGrad": "balancers._sdmgrad",
    "STCH": "balancers._stch",
    "Scale": "_tasks._scale",
    "ScaleInvariant": "balancers._scale_invariant",
    "Schedule": "balancers._schedule",
    "SelectOrSkip": "layers._select_or_skip",
    "SelfPaced": "balancers._self_paced",
    "ShardedEmbedding": "layers._sharded_embedding",
    "SlantedTriangle": "transfer._slanted_triangle",
    "SlowerSchedule": "transfer._discriminative",
    "Softened": "transfer._soft_labels",
    "SpanF1": "_tasks._metrics_by_name._span_f1",
    "SparseFocal": "_tasks._focal_loss",
    "Spearman": "_tasks._metrics_by_name._spearman",
    "StackBranches": "layers._stack_branches",
    "StopGradient": "layers._stop_gradient",
    "SubNetworkRouting": "layers._sub_network_routing",
    "SubspaceOrthogonality": "layers._subspace_orthogonality",
    "Sums": "rules._sums",
    "SurvivalCurve": "_tasks._kinds._hazards",
    "SurvivalHead": "_tasks._kinds._hazards",
    "SwapCells": "unlabeled._swap_cells",
    "Task": "_tasks._task",
    "TaskEmbedding": "layers._task_embedding",
    "TaskLoss": "_tasks._task_loss",
    "TaskMetric": "_tasks._task_metric",
    "TaskRelations": "layers._task_relations",
    "Tchebycheff": "balancers._tchebycheff",
    "TotalLogit": "layers._total_logit",
    "Towers": "layers._towers",
    "TrimmedMean": "balancers._trimmed_mean",
    "UPGrad": "balancers._upgrad",
    "Uncertainty": "balancers._uncertainty",
    "UncertaintySoftmax": "balancers._uncertainty_softmax",
    "ValidationDriven": "balancers._validation_driven",
    "VirtualAdversarial": "training._adversaries._virtual_adversarial",
    "WeightTies": "layers._weight_ties",
    "ZeroInflatedHead": "_tasks._kinds._zero_inflated",
    "ZeroInflatedLogNormal": "_tasks._kinds._zero_inflated",
    "ZeroInflatedMean": "_tasks._kinds._zero_inflated",
}
# end: classes


class StandIn(type):
    """Stands for a class that is not imported yet, and behaves as that class does."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        """Makes an object of the class."""
        return load(cls)(*args, **kwargs)

    def __getattr__(cls, name: str) -> Any:
        """Returns an attribute of the class, such as `from_config`."""
        return getattr(load(cls), name)

    def __instancecheck__(cls, instance: Any) -> bool:
        """Returns whether an object is one of the class."""
        return isinstance(instance, load(cls))


def load(stand_in: type) -> Any:
    """Returns the class that a stand-in stands for."""
    return getattr(importlib.import_module(stand_in.__module__), stand_in.__name__)


def register_classes() -> None:
    """Registers a stand-in for each class, unless the class is registered already."""
    keras = importlib.import_module("keras")
    registered = keras.saving.get_custom_objects()
    for name, module in _MODULES.items():
        stand_in = StandIn(name, (), {"__module__": f"keras_mtl.{module}"})
        registered.setdefault(f"keras_mtl>{name}", stand_in)


def register_with_keras() -> None:
    """Registers the stand-ins now if Keras is imported, and otherwise once it has been."""
    if "keras" in sys.modules:
        register_classes()
    else:
        sys.meta_path.insert(0, _ImportOfKeras())


class _ImportOfKeras:
    """Waits for the import of Keras, and registers the stand-ins when it is done."""

    def find_spec(
        self, name: str, path: Any = None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Returns how to import Keras, followed by the registration; `None` for other modules."""
        if name != "keras":
            return None
        finders = [finder for finder in sys.meta_path if finder is not self]
        specs = (finder.find_spec(name, path, target) for finder in finders)
        spec = next((spec for spec in specs if spec is not None), None)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def execute_and_register(module: types.ModuleType) -> None:
            execute(module)
            register_classes()
            # Only now: programs ask for the spec of a module to see whether it is installed.
            if self in sys.meta_path:
                sys.meta_path.remove(self)

        vars(spec.loader)["exec_module"] = execute_and_register
        return spec
