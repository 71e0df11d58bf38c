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

from keras_mtl._lazy_classes import register_classes as _register_classes
from keras_mtl._tasks import Head, Labels, Scale, Task, compile_args, monitor
from keras_mtl._version import __version__ as __version__

if TYPE_CHECKING:
    from keras_mtl import (
        analysis,
        architectures,
        balancers,
        callbacks,
        data,
        datasets,
        export,
        layers,
        metrics,
        studies,
        training,
        tuning,
    )
    from keras_mtl.training import BalancedModel

__all__ = [
    "BalancedModel",
    "Head",
    "Labels",
    "Scale",
    "Task",
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
    "studies",
    "training",
    "tuning",
]

_PACKAGES = (
    "analysis",
    "architectures",
    "balancers",
    "callbacks",
    "data",
    "datasets",
    "export",
    "layers",
    "metrics",
    "studies",
    "training",
    "tuning",
)

_register_classes()


def __getattr__(name: str) -> Any:
    # Sub-packages load at first use: tfds and the tuner take seconds to import.
    if name in _PACKAGES:
        return importlib.import_module(f"keras_mtl.{name}")
    if name == "BalancedModel":
        return importlib.import_module("keras_mtl.training").BalancedModel
    raise AttributeError(f"module 'keras_mtl' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
