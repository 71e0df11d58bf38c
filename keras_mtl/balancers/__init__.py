"""Balancing strategies: how the tasks of a step are combined.

Each row tells the number of backward passes through the shared part, for a step of K tasks (it is
one with `at="representation"`), and when to choose the strategy; its docstring tells when not to.

    Rules on the losses
      Equal              1                      you need the baseline
      Fixed              1                      weights are known, or searched
      ValidationDriven   1                      the aim is a validation metric for each task
      Tchebycheff        1                      only the worst task counts
      PBI                1                      one trade-off is wanted, on a Pareto front of any
                                                shape
      SelfPaced          1                      easy tasks should come first, and all tasks count in
                                                the end
      DTP                1                      hard tasks (by a metric from 0 to 1) should come
                                                first
      Uncertainty        1                      losses differ in scale or noise, or drift
      DWA                1                      tasks learn at different speeds
      GeometricMean      1                      losses differ in scale, and their mean should be in
                                                units of a loss
      Schedule           1                      weights should follow a plan, such as w g^t
      COSMOS             1                      one network should serve all trade-offs
      CoV                1                      losses that still change should count most
      IMTLL              1                      losses differ in scale, and the scale changes during
                                                training
      RandomWeighting    1                      a baseline is wanted that every rule should beat
      ScaleInvariant     1                      losses differ in scale (it minimizes the sum of
                                                their logarithms)
      FAMO               1 and a forward pass   losses should fall at the same rate, at low cost
      GO4Align           1                      there are many tasks, and groups of them learn alike
      STCH               1                      a smooth worst case, or one point of the Pareto
                                                front, is wanted
      UncertaintySoftmax 1                      losses differ in scale or noise, and no variable
                                                should be learned for them

    Rules on the Gramian of the gradients
      GradientSimilarity K                      a few noisy tasks should lose influence to the
                                                majority
      DualProj           K                      the mean gradient should be followed as far as it
                                                harms no task
      Krum               K                      a few tasks may send plainly wrong gradients
      GradientGate       K                      one task is the aim, and auxiliary tasks may disturb
                                                it
      GradNorm           K                      tasks should learn at the same rate
      MGDA               K                      no task may get worse
      ParetoMTL          K                      several models should be spread over the Pareto
                                                front
      PEMTL              K                      a Pareto-efficient point and a least weight for each
                                                task are wanted
      EPO                K                      losses should stand in a given proportion
      PCGrad             K                      gradients conflict now and then
      CAGrad             K                      the mean loss should fall, and the worst-served task
                                                should gain too
      GradVac            K                      tasks are related, and their gradients should stay
                                                as similar as they were
      IMTLG              K                      progress should be equal along every task's gradient
      CRMOGM             K                      the weights of another rule should be smoothed,
                                                since batches are small
      NashMTL            K                      the scale of a task's loss should not count
      AlignedMTL         K                      conflicts and differences in length of the gradients
                                                should be removed
      MoDo               2 K + 1                no task may get worse, and small batches would bias
                                                the weights of `MGDA`
      SDMGrad            2 K + 1                a rule between the mean and `MGDA` is wanted, and
                                                batches are small
      ConFIG             K                      equal cosines with every gradient are wanted
      FairGrad           K                      gains should be shared fairly, by a fairness that
                                                you choose (alpha)
      UPGrad             K                      no task may get worse, and all tasks should gain
      GradOPS            K                      three to ten tasks conflict, and the direction
                                                should conflict with none
      PCD                K                      one task is the aim and the other tasks must not be
                                                forgotten

    Rules on the gradients themselves
      TrimmedMean        K                      a few of many tasks may send wrong gradients
      GradDrop           K                      the signs of the gradients disagree entry by entry
      MetaBalance        K                      one task is the aim and the other tasks help it
      AdaTask            K                      gradients differ in scale and Adam is the optimizer
      DBMTL              K                      losses differ in scale, and gradients in length
      MoCo               K                      no task may get worse, and averaged gradients should
                                                set the weights
      ExcessMTL          K                      labels of some tasks are noisy
      MConFIG            K                      equal cosines with every averaged gradient are
                                                wanted

    Rules with a second batch
      MOML               2 K and a forward pass weights should serve all tasks on unseen data
      AutoLambda         2 K and a forward pass auxiliary tasks should serve primary ones
      FORUM              2 K and T plain steps  weights should serve all tasks on unseen data, and
                                                training may use both

`scripts/make_tables.py` writes the table from the docstrings.
"""

from keras_mtl.balancers._adatask import AdaTask
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
from keras_mtl.balancers._go4align import GO4Align
from keras_mtl.balancers._graddrop import GradDrop
from keras_mtl.balancers._gradient_gate import GradientGate
from keras_mtl.balancers._gradient_similarity import GradientSimilarity
from keras_mtl.balancers._gradnorm import GradNorm
from keras_mtl.balancers._gradops import GradOPS
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
from keras_mtl.balancers._self_paced import SelfPaced
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
    "AdaTask",
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
    "GO4Align",
    "GeometricMean",
    "GradDrop",
    "GradNorm",
    "GradOPS",
    "GradVac",
    "GradientBalancer",
    "GradientGate",
    "GradientSimilarity",
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
    "SelfPaced",
    "Tchebycheff",
    "TrimmedMean",
    "UPGrad",
    "Uncertainty",
    "UncertaintySoftmax",
    "ValidationDriven",
]
