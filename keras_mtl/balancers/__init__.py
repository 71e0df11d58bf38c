"""Balancing strategies: how the tasks of a step are combined.

Each line tells what a strategy needs, how many backward passes a step of K tasks takes (through
the shared part; one with `at="representation"`), and when to choose it; when not to is in its
own docstring.

    Equal              L  1                      as the baseline
    Fixed              L  1                      weights are known, or searched
    Schedule           L  1                      weights should follow a plan, such as w g^t
    ScaleInvariant     L  1                      losses differ in scale (sum of logs)
    GeometricMean      L  1                      as ScaleInvariant, in units of a loss
    Uncertainty        L  1                      losses differ in scale or noise, or drift
    UncertaintySoftmax L  1                      as Uncertainty, without anything learned
    IMTLL              L  1                      losses differ in scale, and change it
    DWA                L  1                      tasks learn at different speeds
    CoV                L  1                      losses that still move should count
    RandomWeighting    L  1                      as a baseline that any rule should beat
    Tchebycheff        L  1                      the worst task is all that counts
    STCH               L  1                      a smooth worst case, or a point of the front
    PBI                L  1                      one trade-off is wanted, on a front of any shape
    COSMOS             L  1                      one network for all trade-offs
    FAMO               L  1 and a forward pass   losses should fall at one rate, cheaply
    DTP                L  1                      hard tasks (by a metric from 0 to 1) come first
    ValidationDriven   L  1                      a validation metric per task is the aim
    GradNorm           G  K                      tasks should learn at one rate
    MGDA               G  K                      no task may get worse
    PCGrad             G  K                      gradients conflict now and then
    GradVac            G  K                      tasks are related, and should be kept so
    CAGrad             G  K                      the mean should improve, the worst task too
    NashMTL            G  K                      no task's scale should count
    FairGrad           G  K                      as NashMTL, with fairness to choose (alpha)
    IMTLG              G  K                      equal progress along every gradient
    AlignedMTL         G  K                      conflict and imbalance should both go
    UPGrad             G  K                      no task may get worse, and all should gain
    DualProj           G  K                      the mean, where it harms nobody
    ConFIG             G  K                      equal cosines with every gradient
    PEMTL              G  K                      MGDA with a least weight for each task
    EPO                G  K                      losses in a given proportion
    ParetoMTL          G  K                      several models spread over the front
    PCD                G  K                      one task is the aim, others may not be forgotten
    CRMOGM             G  K                      around another rule, where batches are small
    Krum               G  K                      a few tasks may go astray
    MoDo               G  2 K + 1                as MGDA, without the bias of small batches
    SDMGrad            G  2 K + 1                between the mean and MGDA, likewise
    GradDrop           J  K                      signs disagree entry by entry
    MConFIG            J  K                      as ConFIG, of averaged gradients
    MetaBalance        J  K                      one task is the aim, the others help it
    ExcessMTL          J  K                      labels of some tasks are noisy
    MoCo               J  K                      as MGDA, of averaged gradients
    DBMTL              J  K                      losses differ in scale, gradients in length
    TrimmedMean        J  K                      a few of many tasks may go astray
    AutoLambda         G+  2 K and a forward pass auxiliary tasks should serve primary ones
    MOML               G+  2 K and a forward pass weights should serve all tasks on unseen data
    FORUM              G+  2 K and T plain steps  as MOML, trained on both kinds of data

L: the losses alone. G: the Gramian of the gradients. J: the gradients themselves. G+: the
Gramian, with gradients on a second batch.
"""

from keras_mtl.balancers._aligned_mtl import AlignedMTL
from keras_mtl.balancers._auto_lambda import AutoLambda
from keras_mtl.balancers._base import (
    Balancer,
    GradientBalancer,
    GramianBalancer,
    LossBalancer,
    Needs,
)
from keras_mtl.balancers._cagrad import CAGrad
from keras_mtl.balancers._config_grad import ConFIG
from keras_mtl.balancers._cosmos import COSMOS
from keras_mtl.balancers._cov import CoV
from keras_mtl.balancers._cr_mogm import CRMOGM
from keras_mtl.balancers._db_mtl import DBMTL
from keras_mtl.balancers._dtp import DTP
from keras_mtl.balancers._dual_proj import DualProj
from keras_mtl.balancers._dwa import DWA
from keras_mtl.balancers._epo import EPO
from keras_mtl.balancers._equal import Equal
from keras_mtl.balancers._excess_mtl import ExcessMTL
from keras_mtl.balancers._fairgrad import FairGrad
from keras_mtl.balancers._famo import FAMO
from keras_mtl.balancers._fixed import Fixed
from keras_mtl.balancers._forum import FORUM
from keras_mtl.balancers._geometric_mean import GeometricMean
from keras_mtl.balancers._graddrop import GradDrop
from keras_mtl.balancers._gradnorm import GradNorm
from keras_mtl.balancers._gradvac import GradVac
from keras_mtl.balancers._imtl_g import IMTLG
from keras_mtl.balancers._imtl_l import IMTLL
from keras_mtl.balancers._krum import Krum
from keras_mtl.balancers._m_config import MConFIG
from keras_mtl.balancers._meta_balance import MetaBalance
from keras_mtl.balancers._mgda import MGDA
from keras_mtl.balancers._moco import MoCo
from keras_mtl.balancers._modo import MoDo
from keras_mtl.balancers._moml import MOML
from keras_mtl.balancers._nash_mtl import NashMTL
from keras_mtl.balancers._pareto_mtl import ParetoMTL
from keras_mtl.balancers._pbi import PBI
from keras_mtl.balancers._pcd import PCD
from keras_mtl.balancers._pcgrad import PCGrad
from keras_mtl.balancers._pe_mtl import PEMTL
from keras_mtl.balancers._random_weighting import RandomWeighting
from keras_mtl.balancers._scale_invariant import ScaleInvariant
from keras_mtl.balancers._schedule import Schedule
from keras_mtl.balancers._sdmgrad import SDMGrad
from keras_mtl.balancers._stch import STCH
from keras_mtl.balancers._tchebycheff import Tchebycheff
from keras_mtl.balancers._trimmed_mean import TrimmedMean
from keras_mtl.balancers._uncertainty import Uncertainty
from keras_mtl.balancers._uncertainty_softmax import UncertaintySoftmax
from keras_mtl.balancers._upgrad import UPGrad
from keras_mtl.balancers._validation_driven import ValidationDriven

__all__ = [
    "COSMOS",
    "CRMOGM",
    "DBMTL",
    "DTP",
    "DWA",
    "EPO",
    "FAMO",
    "FORUM",
    "IMTLG",
    "IMTLL",
    "MGDA",
    "MOML",
    "PBI",
    "PCD",
    "PEMTL",
    "STCH",
    "AlignedMTL",
    "AutoLambda",
    "Balancer",
    "CAGrad",
    "CoV",
    "ConFIG",
    "DualProj",
    "Equal",
    "ExcessMTL",
    "FairGrad",
    "Fixed",
    "GeometricMean",
    "GradDrop",
    "GradNorm",
    "GradVac",
    "GradientBalancer",
    "GramianBalancer",
    "Krum",
    "LossBalancer",
    "MConFIG",
    "MetaBalance",
    "MoCo",
    "MoDo",
    "NashMTL",
    "Needs",
    "PCGrad",
    "ParetoMTL",
    "RandomWeighting",
    "SDMGrad",
    "ScaleInvariant",
    "Schedule",
    "Tchebycheff",
    "TrimmedMean",
    "UPGrad",
    "Uncertainty",
    "UncertaintySoftmax",
    "ValidationDriven",
]
