"""Multi-task learning for Keras 3: task, architecture, balancer.

>>> import keras
>>> import keras_mtl as mtl
>>> tasks = [mtl.Task.binary("click"), mtl.Task.regression("price")]
>>> network = mtl.architectures.mmoe(keras.Input((8,)), tasks, num_experts=4)
>>> model = mtl.BalancedModel(network, tasks, mtl.balancers.PCGrad())
>>> model.compile("adam")
"""

import importlib
from typing import TYPE_CHECKING, Any

from keras_mtl._lazy_classes import register_with_keras as _register_with_keras
from keras_mtl._version import __version__ as __version__

if TYPE_CHECKING:
    from keras_mtl import (
        active,
        analysis,
        architectures,
        balancers,
        callbacks,
        data,
        datasets,
        export,
        layers,
        metrics,
        rules,
        serving,
        studies,
        training,
        transfer,
        tuning,
        unlabeled,
    )
    from keras_mtl._tasks import Head, Labels, Scale, Task, compile_args, monitor
    from keras_mtl.training import BalancedModel

__all__ = [
    "BalancedModel",
    "Head",
    "Labels",
    "Scale",
    "Task",
    "active",
    "analysis",
    "architectures",
    "balancers",
    "callbacks",
    "compile_args",
    "data",
    "datasets",
    "export",
    "layers",
    "metrics",
    "monitor",
    "rules",
    "serving",
    "studies",
    "training",
    "transfer",
    "tuning",
    "unlabeled",
]

_PACKAGES = (
    "active",
    "analysis",
    "architectures",
    "balancers",
    "callbacks",
    "data",
    "datasets",
    "export",
    "layers",
    "metrics",
    "rules",
    "serving",
    "studies",
    "training",
    "transfer",
    "tuning",
    "unlabeled",
)

_HOMES = {
    "BalancedModel": "training",
    "Head": "_tasks",
    "Labels": "_tasks",
    "Scale": "_tasks",
    "Task": "_tasks",
    "compile_args": "_tasks",
    "monitor": "_tasks",
}

_register_with_keras()


def __getattr__(name: str) -> Any:
    # Everything loads at first use: tfds and the tuner take seconds to import, and a server that
    # runs without Keras must not import Keras at all.
    if name in _PACKAGES:
        return importlib.import_module(f"keras_mtl.{name}")
    if name in _HOMES:
        value = getattr(importlib.import_module(f"keras_mtl.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'keras_mtl' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
