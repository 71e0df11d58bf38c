"""Training steps of this package, as a worker."""

import gc

import keras
import numpy as np
import tensorflow as tf
from problem import FEATURES, SHARED, TOWER, batch, is_binary, kernels
from turns import serve

import keras_mtl as mtl

BALANCERS = {
    "CRMOGM": lambda count: mtl.balancers.CRMOGM(mtl.balancers.MGDA()),
    "Fixed": lambda count: mtl.balancers.Fixed([1.0 + task for task in range(count)]),
    "FairGrad": lambda count: mtl.balancers.FairGrad(alpha=2.0),
    "PBI": lambda count: mtl.balancers.PBI(theta=5.0, preference=[1.0] * count),
    "STCH": lambda count: mtl.balancers.STCH(mu=1.0),
    "TrimmedMean": lambda count: mtl.balancers.TrimmedMean(trim=(count - 1) // 2),
}


def make_tasks(count):
    return [
        (mtl.Task.binary if is_binary(task) else mtl.Task.regression)(f"task_{task}", metrics=())
        for task in range(count)
    ]


def make_network(tasks):
    inputs = keras.Input((FEATURES,))
    network = mtl.architectures.hard_sharing(inputs, tasks, shared=SHARED, tower=(TOWER,))
    shared, towers = kernels(len(tasks))
    layers = [layer for layer in network.layers if layer.trainable_variables]
    for layer, kernel in zip(layers, shared, strict=False):
        layer.kernel.assign(kernel)
    if len(layers) == len(shared) + 1:  # One layer holds all towers, the first layers of all first.
        for kernel, values in zip(layers[-1].kernels, zip(*towers, strict=True), strict=True):
            kernel.assign(np.stack(values))
        return network
    for task, tower in zip(tasks, towers, strict=True):
        names = (f"{task.name}_tower_0", f"{task.name}_logits")
        for name, kernel in zip(names, tower, strict=True):
            network.get_layer(name).kernel.assign(kernel)
    return network


def prepare(name, count):
    keras.backend.clear_session()
    gc.collect()
    tasks = make_tasks(count)
    network = make_network(tasks)
    x, labels = batch(count)
    data = (x, {task.name: y for task, y in zip(tasks, labels, strict=True)})
    outputs = network(x[:4])
    predictions = [np.asarray(outputs[task.name])[:, 0].tolist() for task in tasks]
    if name == "plain":
        network.compile("adam", loss={task.name: task.loss for task in tasks})
        model = network
    else:
        make = BALANCERS.get(name, lambda count: getattr(mtl.balancers, name)())
        model = mtl.BalancedModel(network, tasks, make(count), at="parameters")
        model.compile("adam")
    iterator = iter(tf.data.Dataset.from_tensors(data).cache().repeat())
    model.make_train_function()
    for _ in range(5):
        model.train_function(iterator)
    return lambda: model.train_function(iterator), predictions, ""


serve(prepare, {"keras": keras.__version__, "tensorflow": tf.__version__})
