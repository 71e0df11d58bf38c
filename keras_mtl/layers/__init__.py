"""Keras layers that the architectures are made of, and that can be used on their own.

`keras.Model.quantize` (int8, int4, float8) quantizes the `Dense`, `EinsumDense`, `Embedding` and
`Conv` layers of a network. The layers of this package have no such mode: they stay in float, and
Keras warns with their names. So a network whose variables are mostly in `Experts` or `Towers`
hardly shrinks, and it runs slower, not faster. To make a network small and fast, quantize it after
the conversion, where the kernels of all layers count: `export.litert(folder, quantize="int8")`. A
`LowRankBody` refuses to run once Keras has quantized its body, since the updates would be lost:
merge them first with `export.merge`.
"""

from keras_mtl.layers._adapter import Adapter
from keras_mtl.layers._attentive_messages import AttentiveMessages
from keras_mtl.layers._bottleneck_fusion import BottleneckFusion
from keras_mtl.layers._branching import Branching
from keras_mtl.layers._channel_slice import ChannelSlice
from keras_mtl.layers._counterfactual_risk import CounterfactualRisk
from keras_mtl.layers._cross_stitch import CrossStitch
from keras_mtl.layers._dselect_k import DSelectKGate
from keras_mtl.layers._expectation_calibrator import ExpectationCalibrator
from keras_mtl.layers._expert_normalization import ExpertNormalization
from keras_mtl.layers._experts import Experts
from keras_mtl.layers._factorized_dense import FactorizedDense
from keras_mtl.layers._feature_gate import FeatureGate
from keras_mtl.layers._feature_propagation import FeaturePropagation
from keras_mtl.layers._fill_missing import FillMissing
from keras_mtl.layers._film import FiLM
from keras_mtl.layers._frozen import Frozen
from keras_mtl.layers._gate_nu import GateNU
from keras_mtl.layers._gated_fusion import GatedFusion
from keras_mtl.layers._gradient_reversal import GradientReversal
from keras_mtl.layers._group_sparsity import GroupSparsity
from keras_mtl.layers._information_transfer import InformationTransfer
from keras_mtl.layers._joint_logit import JointLogit
from keras_mtl.layers._layer_stitch import LayerStitch
from keras_mtl.layers._low_rank_body import LowRankBody
from keras_mtl.layers._low_rank_factors import LowRankFactors
from keras_mtl.layers._masked_gate import MaskedGate
from keras_mtl.layers._mixture import Mixture
from keras_mtl.layers._modality_dropout import ModalityDropout
from keras_mtl.layers._nddr import NDDR
from keras_mtl.layers._orthogonality import Orthogonality
from keras_mtl.layers._parallel_dense import ParallelDense
from keras_mtl.layers._periodic_embedding import PeriodicEmbedding
from keras_mtl.layers._pick_branch import PickBranch
from keras_mtl.layers._piecewise_linear_encoding import PiecewiseLinearEncoding
from keras_mtl.layers._presence_flags import PresenceFlags
from keras_mtl.layers._select_or_skip import SelectOrSkip
from keras_mtl.layers._sharded_embedding import ShardedEmbedding
from keras_mtl.layers._stack_branches import StackBranches
from keras_mtl.layers._stop_gradient import StopGradient
from keras_mtl.layers._sub_network_routing import SubNetworkRouting
from keras_mtl.layers._subspace_orthogonality import SubspaceOrthogonality
from keras_mtl.layers._task_embedding import TaskEmbedding
from keras_mtl.layers._task_relations import TaskRelations
from keras_mtl.layers._total_logit import TotalLogit
from keras_mtl.layers._towers import Towers
from keras_mtl.layers._weight_ties import WeightTies

__all__ = [
    "NDDR",
    "Adapter",
    "AttentiveMessages",
    "BottleneckFusion",
    "Branching",
    "ChannelSlice",
    "CounterfactualRisk",
    "CrossStitch",
    "DSelectKGate",
    "ExpectationCalibrator",
    "ExpertNormalization",
    "Experts",
    "FactorizedDense",
    "FeatureGate",
    "FeaturePropagation",
    "FiLM",
    "FillMissing",
    "Frozen",
    "GateNU",
    "GatedFusion",
    "GradientReversal",
    "GroupSparsity",
    "InformationTransfer",
    "JointLogit",
    "LayerStitch",
    "LowRankBody",
    "LowRankFactors",
    "MaskedGate",
    "Mixture",
    "ModalityDropout",
    "Orthogonality",
    "ParallelDense",
    "PeriodicEmbedding",
    "PickBranch",
    "PiecewiseLinearEncoding",
    "PresenceFlags",
    "SelectOrSkip",
    "ShardedEmbedding",
    "StackBranches",
    "StopGradient",
    "SubNetworkRouting",
    "SubspaceOrthogonality",
    "TaskEmbedding",
    "TaskRelations",
    "TotalLogit",
    "Towers",
    "WeightTies",
]
