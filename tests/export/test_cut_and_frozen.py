"""A second road to one task alone: TensorFlow freezes and prunes the graph of the whole network."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2
from tensorflow.python.grappler import tf_optimizer

import keras_mtl as mtl
from keras_mtl import architectures, export

TASKS = [mtl.Task.binary(f"assay_{i}") for i in (5, 2, 7, 0, 3, 6, 1, 4)]


def frozen_numbers(network, task):
    """Returns how many numbers the graph of a task keeps, once constants are folded and pruned."""
    function = tf.function(lambda x: network(x, training=False)[task], autograph=False)
    spec = tf.TensorSpec((None, *network.inputs[0].shape[1:]), "float32")
    frozen = convert_variables_to_constants_v2(function.get_concrete_function(spec))
    graph = tf.compat.v1.train.export_meta_graph(
        graph_def=frozen.graph.as_graph_def(), graph=frozen.graph
    )
    kept = meta_graph_pb2.CollectionDef()
    kept.node_list.value.extend(output.name for output in frozen.outputs)
    graph.collection_def["train_op"].CopyFrom(kept)
    config = config_pb2.ConfigProto()
    config.graph_options.rewrite_options.optimizers.extend(
        ["pruning", "constfold", "function", "pruning"]
    )
    nodes = tf_optimizer.OptimizeGraph(config, graph).node
    shapes = [
        [dim.size for dim in node.attr["value"].tensor.tensor_shape.dim]
        for node in nodes
        if node.op == "Const" and node.attr["dtype"].type == tf.float32.as_datatype_enum
    ]
    return sum(int(np.prod(shape)) for shape in shapes if shape)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("builder", "by_tensorflow"),
    [
        ("hard_sharing", "the same"),
        ("cgc", "the same"),
        ("ple", "the same"),
        ("mmoe", "the same"),
        # TensorFlow does not know that a gate is 0, or that a product has columns of other tasks.
        ("mmoeex", "more"),
        ("snr", "more"),
    ],
)
def test_tensorflow_prunes_to_the_same_numbers_or_to_more(builder, by_tensorflow):
    network = getattr(architectures, builder)(keras.Input((16,)), TASKS)
    rng = np.random.default_rng(0)
    for variable in network.trainable_variables:  # zeros would be folded
        variable.assign(rng.normal(size=variable.shape) / 3)
    cut = export.single_task(network, "assay_0")
    pruned = frozen_numbers(network, "assay_0")
    if by_tensorflow == "the same":
        assert pruned == frozen_numbers(cut, "assay_0") == cut.count_params()
    else:
        assert pruned > frozen_numbers(cut, "assay_0")
        assert pruned > cut.count_params()
