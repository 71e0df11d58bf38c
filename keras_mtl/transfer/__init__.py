"""Transfer: what was learned before serves what is learned next.

    load_trunk       values of layers, by name, from a file or another network
    add_task         one more head on a network that is trained
    discriminative   smaller steps the further a layer stands from the heads
    SlantedTriangle  a learning rate that rises fast and falls slowly
    remember         a penalty on leaving what was learned; KeepNear is its class
    with_teachers    predictions of trained networks as labels; taught makes tasks that take them
    out_of_fold      predictions for rows, of networks that have not seen them

Helpers: `_networks` finds layers by name, `_pair_variables` the counterparts of their variables,
`_variable_names` names that survive saving, `_levels` how far layers stand from the heads,
`_fisher` how much predictions depend on variables, `_soft_labels` the losses of predictions as
labels, `_folds` rows cut into folds.
"""

from keras_mtl.transfer._add_task import add_task
from keras_mtl.transfer._discriminative import discriminative
from keras_mtl.transfer._keep_near import KeepNear
from keras_mtl.transfer._load_trunk import TrunkReport, load_trunk
from keras_mtl.transfer._out_of_fold import out_of_fold
from keras_mtl.transfer._remember import remember
from keras_mtl.transfer._slanted_triangle import SlantedTriangle
from keras_mtl.transfer._with_teachers import taught, with_teachers

__all__ = [
    "KeepNear",
    "SlantedTriangle",
    "TrunkReport",
    "add_task",
    "discriminative",
    "load_trunk",
    "out_of_fold",
    "remember",
    "taught",
    "with_teachers",
]
