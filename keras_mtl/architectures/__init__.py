"""Builders of multi-task networks: functions from inputs and tasks to a plain Keras model."""

from keras_mtl.architectures._adapters import adapters
from keras_mtl.architectures._adashare import adashare
from keras_mtl.architectures._aitm import aitm
from keras_mtl.architectures._cascade import cascade
from keras_mtl.architectures._cgc import cgc
from keras_mtl.architectures._cross_stitch import cross_stitch
from keras_mtl.architectures._deep_bayesian import deep_bayesian
from keras_mtl.architectures._dselect_k import dselect_k
from keras_mtl.architectures._escm2 import escm2
from keras_mtl.architectures._esm2 import esm2
from keras_mtl.architectures._esmm import esmm
from keras_mtl.architectures._film import film
from keras_mtl.architectures._hard_sharing import hard_sharing
from keras_mtl.architectures._hierarchical import hierarchical
from keras_mtl.architectures._home import home
from keras_mtl.architectures._joint_network import joint_network
from keras_mtl.architectures._knowledge_propagation import knowledge_propagation
from keras_mtl.architectures._lora import lora
from keras_mtl.architectures._low_rank import low_rank
from keras_mtl.architectures._ltb import ltb
from keras_mtl.architectures._ml_mmoe import ml_mmoe
from keras_mtl.architectures._mmoe import mmoe
from keras_mtl.architectures._mmoeex import mmoeex
from keras_mtl.architectures._moe import moe
from keras_mtl.architectures._mtan import mtan
from keras_mtl.architectures._mti_net import mti_net
from keras_mtl.architectures._nddr import nddr
from keras_mtl.architectures._pad_net import pad_net
from keras_mtl.architectures._partial_sharing import partial_sharing
from keras_mtl.architectures._pepnet import pepnet
from keras_mtl.architectures._ple import ple
from keras_mtl.architectures._single_task import single_task
from keras_mtl.architectures._sluice import sluice
from keras_mtl.architectures._snr import snr
from keras_mtl.architectures._soft_sharing import soft_sharing
from keras_mtl.architectures._sparse import sparse
from keras_mtl.architectures._stem import stem
from keras_mtl.architectures._tensor_factorized import tensor_factorized

__all__ = [
    "adapters",
    "adashare",
    "aitm",
    "cascade",
    "cgc",
    "cross_stitch",
    "deep_bayesian",
    "dselect_k",
    "escm2",
    "esm2",
    "esmm",
    "film",
    "hard_sharing",
    "hierarchical",
    "home",
    "joint_network",
    "knowledge_propagation",
    "lora",
    "low_rank",
    "ltb",
    "ml_mmoe",
    "mmoe",
    "mmoeex",
    "moe",
    "mtan",
    "mti_net",
    "nddr",
    "pad_net",
    "partial_sharing",
    "pepnet",
    "ple",
    "single_task",
    "sluice",
    "snr",
    "soft_sharing",
    "sparse",
    "stem",
    "tensor_factorized",
]
