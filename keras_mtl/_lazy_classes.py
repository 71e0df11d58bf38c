"""Classes that Keras finds by name when it loads a saved model, before their modules are imported.

Keras imports no module of a package that is not its own: it looks the saved name up among the
classes whose modules happen to be imported (docs/keras_notes.md, 113). The rooms of this package
load at first use, so a stand-in is registered for each of their classes. It imports the module of
the class as soon as Keras reads anything of it, and the decorator of the class then takes the
place of the stand-in.
"""

import importlib
from typing import Any

import keras

# begin: classes, by scripts/make_tables.py
_MODULES = {
    "Adapter": "layers._adapter",
    "AlignedMTL": "balancers._aligned_mtl",
    "AttentiveMessages": "layers._attentive_messages",
    "AutoLambda": "balancers._auto_lambda",
    "BalancedModel": "training._balanced_model",
    "Branch": "data._branch",
    "Branching": "layers._branching",
    "CAGrad": "balancers._cagrad",
    "COSMOS": "balancers._cosmos",
    "CRMOGM": "balancers._cr_mogm",
    "CategoryCodes": "data._tables._category_codes",
    "ChannelSlice": "layers._channel_slice",
    "CoV": "balancers._cov",
    "ConFIG": "balancers._config_grad",
    "CounterfactualRisk": "layers._counterfactual_risk",
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
    "FAMO": "balancers._famo",
    "FORUM": "balancers._forum",
    "FactorizedDense": "layers._factorized_dense",
    "FairGrad": "balancers._fairgrad",
    "FeatureGate": "layers._feature_gate",
    "FeaturePropagation": "layers._feature_propagation",
    "FiLM": "layers._film",
    "Fixed": "balancers._fixed",
    "Frozen": "layers._frozen",
    "GO4Align": "balancers._go4align",
    "GateNU": "layers._gate_nu",
    "GeometricMean": "balancers._geometric_mean",
    "GradDrop": "balancers._graddrop",
    "GradNorm": "balancers._gradnorm",
    "GradVac": "balancers._gradvac",
    "GroupSparsity": "layers._group_sparsity",
    "IMTLG": "balancers._imtl_g",
    "IMTLL": "balancers._imtl_l",
    "InformationTransfer": "layers._information_transfer",
    "JointLogit": "layers._joint_logit",
    "Krum": "balancers._krum",
    "LayerStitch": "layers._layer_stitch",
    "LowRankBody": "layers._low_rank_body",
    "LowRankFactors": "layers._low_rank_factors",
    "MConFIG": "balancers._m_config",
    "MGDA": "balancers._mgda",
    "MOML": "balancers._moml",
    "MaskedGate": "layers._masked_gate",
    "MetaBalance": "balancers._meta_balance",
    "Mixture": "layers._mixture",
    "MoCo": "balancers._moco",
    "MoDo": "balancers._modo",
    "NDDR": "layers._nddr",
    "NashMTL": "balancers._nash_mtl",
    "NumericColumns": "data._tables._numeric_columns",
    "PBI": "balancers._pbi",
    "PCD": "balancers._pcd",
    "PCGrad": "balancers._pcgrad",
    "PEMTL": "balancers._pe_mtl",
    "ParallelDense": "layers._parallel_dense",
    "ParetoMTL": "balancers._pareto_mtl",
    "PeriodicEmbedding": "layers._periodic_embedding",
    "PickBranch": "layers._pick_branch",
    "PiecewiseLinearEncoding": "layers._piecewise_linear_encoding",
    "RandomWeighting": "balancers._random_weighting",
    "SDMGrad": "balancers._sdmgrad",
    "STCH": "balancers._stch",
    "ScaleInvariant": "balancers._scale_invariant",
    "Schedule": "balancers._schedule",
    "SelectOrSkip": "layers._select_or_skip",
    "StackBranches": "layers._stack_branches",
    "StopGradient": "layers._stop_gradient",
    "SubNetworkRouting": "layers._sub_network_routing",
    "SubspaceOrthogonality": "layers._subspace_orthogonality",
    "TaskEmbedding": "layers._task_embedding",
    "TaskRelations": "layers._task_relations",
    "Tchebycheff": "balancers._tchebycheff",
    "TotalLogit": "layers._total_logit",
    "Towers": "layers._towers",
    "TrimmedMean": "balancers._trimmed_mean",
    "UPGrad": "balancers._upgrad",
    "Uncertainty": "balancers._uncertainty",
    "UncertaintySoftmax": "balancers._uncertainty_softmax",
    "ValidationDriven": "balancers._validation_driven",
    "WeightTies": "layers._weight_ties",
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
    registered = keras.saving.get_custom_objects()
    for name, module in _MODULES.items():
        stand_in = StandIn(name, (), {"__module__": f"keras_mtl.{module}"})
        registered.setdefault(f"keras_mtl>{name}", stand_in)
