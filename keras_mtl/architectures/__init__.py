"""Builders of multi-task networks: functions from inputs and tasks to a plain Keras model.

Each row tells which parts the tasks share, and when to choose the builder; its docstring tells
when not to.

    Nothing or one body shared
      single_task           nothing                              you need the baseline that a shared
                                                                 network must beat
      hard_sharing          one body                             you begin, tasks are related, or
                                                                 one small network must serve all
                                                                 tasks
      joint_network         everything: the tasks are slices of  there are very many small tasks
                            one head
      soft_sharing          nothing, but the tasks' bodies are   tasks are alike, yet need weights
                            tied by a penalty                    of their own
      hierarchical          one body, at whose stages tasks end  some tasks are lower-level than
                            at different depths                  others
      multimodal            one encoder per modality, and their  examples have several modalities,
                            fusion                               of which some may be missing
      shared_private        one body, beside a private one for   the tasks are data sets of one
                            each task; an adversary keeps it     kind, and a further one may come
                            general
      partial_sharing       some layers of the body              tasks branch early, but not at the
                                                                 input

    Features mixed between the tasks' bodies
      knowledge_propagation features and gradients, along        it is known which tasks help which,
                            relations between tasks              or training should find out
      cross_stitch          features, mixed between the bodies   it is unknown what to share, and
                            of the tasks                         there are few tasks
      nddr                  features, projected between the      it is unknown what to share, with
                            tasks' bodies                        few tasks, much data and large
                                                                 batches
      sluice                subspaces of the features, and for   it is unknown what to share, and
                            each task a mixture of depths        there are few, loosely related
                                                                 tasks

    Experts
      mmoe                  experts, mixed by a gate for each    tasks conflict in a shared body
                            task
      moe                   experts, mixed by one gate for all   tasks agree on which experts to use
                            tasks
      ml_mmoe               several levels of experts, each with `mmoe` is too shallow
                            gates
      snr                   sub-networks, routed by learned      sharing should be sparse and
                            switches                             learned
      cgc                   experts of all tasks, beside experts tasks conflict, and a part of each
                            of each task alone                   task is specific to it
      ple                   levels of shared experts, beside the tasks conflict, need some features
                            experts of each task                 of their own, and depth helps
      dselect_k             experts, of which each task selects  inference should use few experts
                            at most `num_selected`
      mmoeex                experts, some of them closed to some the experts of `mmoe` become too
                            tasks                                alike
      adatt                 levels of experts of each task,      tasks conflict, and some of them
                            which the gates of all tasks weigh   can learn from certain others
      home                  experts in a hierarchy: for all      there are many tasks, and they fall
                            tasks, for groups of tasks and for   into known groups
                            single tasks
      stem                  one embedding for all tasks, beside  embedding tables are large, and
                            one for each task                    tasks disagree about ids

    Attention and conditioning
      film                  one body, conditioned on the task by there are many tasks and few
                            a scale and a shift of its channels  weights to spare
      mtan                  one body, with attention for each    inputs are images, or tasks need
                            task                                 different features of one body
      pepnet                one body, with gates that read who   domains or users differ
                            asks

    Learned branching
      adashare              one body, whose blocks each task     a residual body is deep, and must
                            uses or skips                        stay within a budget
      ltb                   the layers of a tree that is learned it is unknown where the tasks
                                                                 should branch

    Low rank and sparsity
      low_rank              one body, whose kernels differ       there are many tasks that differ
                            between tasks by matrices of low     little
                            rank
      sparse                nothing, but tasks agree on which    few of many features matter, and
                            features to use                      you want to know which
      tensor_factorized     kernels, as slices of tensors of low it is unknown how much to share at
                            rank over the tasks                  which layer

    Frozen bodies
      adapters              a frozen body, to which each task    a pretrained body is large, and
                            adds small layers of its own         labels are few
      lora                  a frozen body, whose kernels each    a pretrained body is large, labels
                            task updates by matrices of low rank are few, and updates are to be
                                                                 merged

    Chains of tasks
      cascade               one body; the output of each task    one task is evidence for another
                            feeds the later tasks
      esmm                  a body under click and conversion,   conversions are seen only on
                            both learned from all impressions    clicked impressions
      deep_bayesian         one body, and hidden features of the targets depend on one another in a
                            targets that a target depends on     known order
      esm2                  a body under the click and under the actions between click and purchase
                            path of actions that follows it      are logged
      aitm                  features, handed along a chain of    the steps of a funnel follow each
                            steps by attention                   other
      escm2                 a body under click and conversion on the conversion rates of `esmm` are
                            all impressions, with a              biased
                            counterfactual risk

    Dense prediction
      pad_net               a body; first predictions help the   there are several per-pixel tasks
                            final ones
      mti_net               a body; at several scales, first     there are several per-pixel tasks
                            predictions help the final ones      on a pyramid of feature maps

`scripts/make_tables.py` writes the table from the docstrings.
"""

from keras_mtl.architectures._adapters import adapters
from keras_mtl.architectures._adashare import adashare
from keras_mtl.architectures._adatt import adatt
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
from keras_mtl.architectures._multimodal import multimodal
from keras_mtl.architectures._nddr import nddr
from keras_mtl.architectures._pad_net import pad_net
from keras_mtl.architectures._partial_sharing import partial_sharing
from keras_mtl.architectures._pepnet import pepnet
from keras_mtl.architectures._ple import ple
from keras_mtl.architectures._shared_private import shared_private
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
    "adatt",
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
    "multimodal",
    "nddr",
    "pad_net",
    "partial_sharing",
    "pepnet",
    "ple",
    "shared_private",
    "single_task",
    "sluice",
    "snr",
    "soft_sharing",
    "sparse",
    "stem",
    "tensor_factorized",
]
