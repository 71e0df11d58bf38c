"""A frozen body with small layers of each task between its layers (Houlsby et al., 2019)."""

from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_mtl._keras_internals import nested_layers, run_graph
from keras_mtl._tasks import Task, check_tasks
from keras_mtl._types import Activation, Tensor
from keras_mtl.architectures._building import (
    Part,
    Tower,
    as_functional,
    check_count,
    end_towers,
    read_body,
)
from keras_mtl.layers import Adapter, Frozen
from keras_mtl.layers._frozen import freeze
from keras_mtl.layers._kernels import find_kernels


def adapters(
    inputs: Any,
    tasks: Sequence[Task],
    *,
    body: Part | keras.layers.Layer = (128, 64),
    bottleneck: int = 16,
    after: Sequence[str] | None = None,
    tower: Tower = (),
    activation: Activation = "relu",
    name: str | None = "adapters",
) -> keras.Model:
    """Adapts a frozen, pretrained body to each task by small trained layers between its layers.

    Where a layer of the body returns `x (batch, ..., in)`, task k goes on with

        x + a(x D_k + d_k) U_k + u_k

    with the activation `a`, the kernels `D_k (in, bottleneck)` and `U_k (bottleneck, in)` and
    the biases `d_k` and `u_k`. At the start this is near the identity.

    Choose it in the same cases as `lora`, for a large pretrained body and tasks with few labels
    each, if you want more than a linear change of the body's layers. Adapters cannot be merged
    into the body, so they also cost time in serving; layers below the first adapter run once
    for all tasks. No trained variable is shared, so a balancer of gradients has nothing to do.

    Guide:
        Kind: frozen bodies
        Shares: a frozen body, to which each task adds small layers of its own
        Choose it when: a pretrained body is large, and labels are few
        Not when: the body may be trained, and there is much data
        Source: Houlsby et al. 2019, arXiv:1902.00751

    Args:
        inputs: The inputs of the body, such as `backbone.input`: a `keras.Input`, a dict of them
            by name, or the output of a preprocessing model, whose own inputs the network then
            takes.
        tasks: The tasks, at least one.
        body: A functional or sequential model, or a Keras layer; its layers become part of the
            network and are frozen (`trainable = False`). It must return one tensor; pick one
            with `keras.Model(backbone.input, backbone.output["sequence_output"])`. Units or a
            recipe make a body of random, frozen weights, as a baseline. Defaults to
            `(128, 64)`.
        bottleneck: Width of an adapter. Defaults to `16`.
        after: The names of the body's layers that an adapter follows, such as the last layer of
            each block of an image model. By default every layer with a kernel, which in a
            backbone of transformers is every block.
        tower: Units of each task's tower, or a recipe that makes new layers at each call. A dict
            gives each task a tower of its own (`None` stands for all others). Defaults to `()`.
        activation: `a`, and the activation of the layers made from units. Defaults to `"relu"`.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from the inputs to a dict of predictions by task name.

    Raises:
        ValueError: If tasks share a name, the body is not a graph of layers, returns several
            tensors or has no layer to adapt, `after` names an unknown layer, `bottleneck` is
            less than 1, or a tower ends in a shape that does not fit its task.
        TypeError: If an argument has a wrong type.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.multiclass("breed", 120), mtl.Task.binary("puppy")]
        >>> backbone = keras.applications.MobileNetV2(
        ...     (32, 32, 3), alpha=0.35, include_top=False, weights=None, pooling="avg"
        ... )
        >>> network = mtl.architectures.adapters(
        ...     backbone.input, tasks, body=backbone, after=["block_12_add", "out_relu"]
        ... )
        >>> network.get_layer("breed_adapter_block_12_add").down_kernel.shape
        TensorShape([32, 16])

    Reference:
        Houlsby et al., Parameter-Efficient Transfer Learning for NLP, ICML 2019,
        arXiv:1902.00751. There two adapters stand inside each block of a transformer, and the
        block's normalizations are trained too. Here one adapter follows a block, as in Bapna
        and Firat, Simple, Scalable Adaptation for Neural Machine Translation, EMNLP 2019,
        arXiv:1909.08478 (who normalize the input of an adapter), and the whole body is frozen.
    """
    tasks = check_tasks(tasks)
    check_count(bottleneck, "bottleneck")
    inputs, features, layer = read_body(inputs, tasks, body, activation)

    freeze(layer)
    graph = as_functional(layer, features)
    places = _find_places(graph, after)
    frozen = Frozen(_composite_layers(graph), name="shared_frozen")
    body_outputs: dict[tuple[int, ...], Any] = {}
    task_features = {}
    for task in tasks:
        task_adapters = {
            place: Adapter(bottleneck, activation, name=f"{task.name}_adapter_{place}")
            for place in places
        }
        adapted = _run_adapted(graph, features, task_adapters, body_outputs)
        task_features[task.name] = frozen(adapted)

    outputs = end_towers(tower, task_features, tasks, activation)
    return keras.Model(inputs, outputs, name=name)


def _find_places(graph: keras.Model, after: Sequence[str] | None) -> list[str]:
    """Returns the names of the layers that an adapter follows.

    Raises:
        ValueError: If there is none, or one of them is no layer of the body.
    """
    names = [layer.name for layer in graph.layers]
    places = [layer.name for layer in graph.layers if find_kernels(layer)]
    if after is not None:
        places = list(after)
    if isinstance(after, str) or not places or not {*places} <= {*names}:
        raise ValueError(
            f"after: expected names of layers of the body, some of {names}; received {after!r}."
        )
    return places


def _composite_layers(graph: keras.Model) -> list[str]:
    """Returns the names of the layers that contain other layers."""
    return [layer.name for layer in graph.layers if nested_layers(layer, include_self=False)]


def _run_adapted(
    graph: keras.Model,
    features: Any,
    task_adapters: dict[str, Adapter],
    body_outputs: dict[tuple[int, ...], Any],
) -> Tensor:
    """Calls the layers of a body, with the adapters of one task between them.

    Args:
        graph: The body.
        features: The inputs of the body.
        task_adapters: The task's adapters, by the name of the layer that they follow.
        body_outputs: The outputs of the body's calls so far, which all tasks share. It is
            extended here.
    """

    def with_adapter(operation: Any) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            # Up to the first adapter the tensors, and so the keys, are the same for all tasks,
            # and a layer is called once. After it each task has tensors of its own.
            key = (id(operation), *map(id, keras.tree.flatten((args, kwargs))))
            if key not in body_outputs:
                body_outputs[key] = operation(*args, **kwargs)
            if operation.name not in task_adapters:
                return body_outputs[key]
            if not isinstance(body_outputs[key], keras.KerasTensor):
                raise ValueError(
                    f"after: {operation.name!r} returns {body_outputs[key]!r}; an adapter takes "
                    "one tensor. Name the layers in `after` without this one."
                )
            return task_adapters[operation.name](body_outputs[key])

        return call

    return run_graph(graph, features, with_adapter)
