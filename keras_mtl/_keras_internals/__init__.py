"""The one room that knows what Keras keeps to itself.

The rest of the package speaks Keras's public interface. What that does not offer (the graph of a
functional model, masks and logits that ride on tensors, the layers inside of a layer, the hooks
of the trainer) is used here and nowhere else, so that a new version of Keras changes one room. A
test searches the other rooms for these names. Tried on Keras 3.15.0 and 3.15.1.

    _graph    nodes of the functional graph: walked, copied, run again
    _tensors  masks and logits that Keras hangs on tensors
    _layers   the layers inside of a layer
    _losses   the arguments of Keras's losses
    _metrics  direction, function and state of metrics, and how they are copied
    _trainer  hooks of `keras.Model.fit`, and of optimizers
    _data_adapters  the adapters that make a dataset of what `fit` is given
"""

from keras_mtl._keras_internals._data_adapters import (
    ChangedAdapter,
    make_adapter,
    slice_sparse,
    sliceable,
    split_for_validation,
    watch_batches,
)
from keras_mtl._keras_internals._graph import (
    calls_of,
    concatenates_along,
    copy_input,
    copy_operation,
    has_plain_graph,
    has_readers,
    is_functional,
    is_symbolic,
    node_of,
    nodes_above,
    operation_of,
    operations_after,
    ordered_nodes,
    position_of,
    replay,
    run_graph,
    run_in_mode,
    walk,
)
from keras_mtl._keras_internals._layers import nested_layers
from keras_mtl._keras_internals._losses import arguments_of
from keras_mtl._keras_internals._metrics import (
    arguments_of_function,
    build_metric,
    copy_attributes,
    direction_of,
    function_of,
    reads_logits,
    set_direction,
)
from keras_mtl._keras_internals._tensors import (
    has_parameters,
    is_shape_inference,
    logits_of,
    mask_of,
    scale_of,
    with_logits,
    with_mask,
    with_parameters,
    with_scaled,
)
from keras_mtl._keras_internals._trainer import (
    PreparedModel,
    compiled_loss_weights,
    compiled_metrics,
    is_decayed,
    loss_tracker,
    make_step_variables,
    resize,
    scaled_rate,
    slots_of,
    steps_so_far,
)

__all__ = [
    "ChangedAdapter",
    "PreparedModel",
    "arguments_of",
    "arguments_of_function",
    "build_metric",
    "calls_of",
    "compiled_loss_weights",
    "compiled_metrics",
    "concatenates_along",
    "copy_attributes",
    "copy_input",
    "copy_operation",
    "direction_of",
    "function_of",
    "has_parameters",
    "has_plain_graph",
    "has_readers",
    "is_decayed",
    "is_functional",
    "is_shape_inference",
    "is_symbolic",
    "logits_of",
    "loss_tracker",
    "make_adapter",
    "make_step_variables",
    "mask_of",
    "nested_layers",
    "node_of",
    "nodes_above",
    "operation_of",
    "operations_after",
    "ordered_nodes",
    "position_of",
    "reads_logits",
    "replay",
    "resize",
    "run_graph",
    "run_in_mode",
    "scale_of",
    "scaled_rate",
    "set_direction",
    "slice_sparse",
    "sliceable",
    "slots_of",
    "split_for_validation",
    "steps_so_far",
    "walk",
    "watch_batches",
    "with_logits",
    "with_mask",
    "with_parameters",
    "with_scaled",
]
