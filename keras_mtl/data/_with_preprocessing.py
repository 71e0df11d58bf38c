"""A network together with the preprocessing of its inputs, to be saved and served."""

from collections.abc import Mapping

import keras


def with_preprocessing(preprocessing: keras.Model, network: keras.Model) -> keras.Model:
    """Puts a preprocessing model before a network: the model to be saved and served.

    Args:
        preprocessing: Maps raw inputs to one tensor; a `tabular_encoder` does. Of an
            adapted `keras.utils.FeatureSpace` with crosses, hashes or buckets,
            `keras.Model(dict(space.get_inputs()), space.get_encoded_features())` is one.
        network: A network with one input, that was trained on this tensor.

    Returns:
        A functional model from raw inputs to the outputs of the network, under the same names.
        It shares the variables of both.

    Raises:
        ValueError: If the network does not take the output of the preprocessing.

    Example:
        >>> import tensorflow as tf
        >>> import keras_mtl as mtl
        >>> columns = {"age": [20.0, 40.0], "city": ["Rome", "Oslo"]}
        >>> train = tf.data.Dataset.from_tensor_slices(columns).batch(2)
        >>> encoder = mtl.data.tabular_encoder(train)
        >>> tasks = [mtl.Task.binary("click"), mtl.Task.binary("buy")]
        >>> network = mtl.architectures.hard_sharing(mtl.data.embed_columns(encoder), tasks)
        >>> served = with_preprocessing(encoder, network)
        >>> rows = {"age": tf.constant([40.0]), "city": tf.constant(["Oslo"])}
        >>> {name: output.shape for name, output in served(rows).items()}
        {'click': TensorShape([1, 1]), 'buy': TensorShape([1, 1])}
    """
    encoded = preprocessing.output
    if len(network.inputs) != 1 or network.inputs[0].shape[1:] != encoded.shape[1:]:
        raise ValueError(
            f"the network takes {[tensor.shape for tensor in network.inputs]}, but the "
            f"preprocessing gives one tensor of shape {encoded.shape}."
        )
    inputs = preprocessing.input
    if isinstance(inputs, Mapping):
        # The inputs of a FeatureSpace are no plain dict, and a model that was built with them warns
        # when it is called with one (docs/keras_notes.md, pain 84).
        inputs = dict(inputs)
    return keras.Model(inputs, network(encoded), name=f"{network.name}_served")
