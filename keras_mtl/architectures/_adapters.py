"""A frozen body with small layers of each task between its own (Houlsby et al., 2019)."""

from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_mtl._keras_internals import nested_layers, run_graph
from keras_mtl._tasks import Task, check_tasks
from keras_mtl._types import Tensor
from keras_mtl.architectures._building import Part, as_graph, check_count, end_towers, read_body
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
    tower: Part = (),
    activation: Any = "relu",
    name: str | None = "adapters",
) -> keras.Model:
    """Adapts a frozen, pretrained body to each task by small layers between its own.

    After a layer of the body task k has `x + a(x D_k + d_k) U_k + u_k`, near the identity at
    the start. Choose it as `lora`: for a large pretrained body and tasks with few labels each,
    where more than a linear change of the body's layers is wanted. It cannot be merged into
    the body, so that it costs time in serving as well; layers below the first adapter run once
    for all tasks. Nothing trained is shared: a balancer of gradients has nothing to do.

    Args:
        inputs: What the body takes, such as `backbone.input`: a `keras.Input`, a dict of them
            by name, or the output of a preprocessing model, whose own inputs the network then
            takes.
        tasks: The tasks, at least one.
        body: A functional or sequential model, or a Keras layer; its layers then are part of
            the network and are frozen (`trainable = False`). It returns one tensor: pick one
            with `keras.Model(backbone.input, backbone.output["sequence_output"])`. Units or a
            recipe make a body of random, frozen weights: a baseline. Defaults to `(128, 64)`.
        bottleneck: Width of an adapter. Defaults to `16`.
        after: The names of the body's layers behind which adapters stand, such as the last of
            each block of an image model. By default every layer with a kernel, which in a
            backbone of transformers is every block.
        tower: Units of each task's tower, or a recipe that makes new layers at each call.
            Defaults to `()`.
        activation: `a`, and the activation of the layers made from units. Defaults to `"relu"`.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from the inputs to a dict of predictions by task name.

    Raises:
        ValueError: If tasks share a name, the body is no graph of layers, returns several
            tensors or has no such layer, `bottleneck` is less than 1, or a tower ends in a
            shape that does not fit its task.
        TypeError: If an argument is of another kind.

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
        arXiv:1902.00751. There two adapters stand inside each block of a transformer, and its
        normalizations are trained too; here one stands after it, as in Bapna and Firat, Simple,
        Scalable Adaptation for Neural Machine Translation, EMNLP 2019, arXiv:1909.08478 (who
        normalize what an adapter reads), and all that the body has is frozen.
    """
    tasks = check_tasks(tasks)
    check_count(bottleneck, "bottleneck")
    inputs, features, layer = read_body(inputs, tasks, body, activation)

    freeze(layer)
    graph = as_graph(layer, features)
    places = _places(graph, after)
    made: dict[tuple[int, ...], Any] = {}
    frozen = Frozen(_composite(graph), name="shared_frozen")
    columns = {}
    for task in tasks:
        own = {
            place: Adapter(bottleneck, activation, name=f"{task.name}_adapter_{place}")
            for place in places
        }
        columns[task.name] = frozen(_run(graph, features, own, made))

    outputs = end_towers(tower, columns, tasks, activation)
    return keras.Model(inputs, outputs, name=name)


def _places(graph: keras.Model, after: Sequence[str] | None) -> list[str]:
    """The names of the layers behind which adapters stand."""
    names = [layer.name for layer in graph.layers]
    places = [layer.name for layer in graph.layers if find_kernels(layer)]
    if after is not None:
        places = list(after)
    if isinstance(after, str) or not places or not {*places} <= {*names}:
        raise ValueError(
            f"after: expected names of layers of the body, some of {names}; received {after!r}."
        )
    return places


def _composite(graph: keras.Model) -> list[str]:
    """The names of the layers that hold others."""
    return [layer.name for layer in graph.layers if nested_layers(layer, include_self=False)]


def _run(
    graph: keras.Model,
    features: Any,
    adapters: dict[str, Adapter],
    made: dict[tuple[int, ...], Any],
) -> Tensor:
    """Calls the layers of a body, with adapters between them.

    Args:
        graph: The body.
        features: What it reads.
        adapters: One task's adapters, by the name of the layer in front.
        made: What layers of the body made of what they read, for all tasks.
    """

    def adapted(operation: Any) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            key = (id(operation), *map(id, keras.tree.flatten((args, kwargs))))
            if key not in made:
                made[key] = operation(*args, **kwargs)
            if operation.name not in adapters:
                return made[key]
            if not isinstance(made[key], keras.KerasTensor):
                raise ValueError(
                    f"after: {operation.name!r} returns {made[key]!r}; an adapter takes one "
                    "tensor. Name the layers in `after` without this one."
                )
            return adapters[operation.name](made[key])

        return call

    return run_graph(graph, features, adapted)
