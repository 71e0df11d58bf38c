"""Bodies as they come with Keras and KerasHub, with random weights and small."""

import keras
import numpy as np
import pytest
from numpy.typing import NDArray


def mobile_net(blocks: int = 4) -> keras.Model:
    """Builds a MobileNet of the first `blocks` of its thirteen blocks."""
    whole = keras.applications.MobileNet((32, 32, 3), alpha=0.25, include_top=False, weights=None)
    last = whole.get_layer(f"conv_pw_{blocks}_relu").output
    return keras.Model(whole.input, keras.layers.GlobalAveragePooling2D()(last))


def images(count: int = 3) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=(count, 32, 32, 3)).astype("float32")


def bert(output: str = "sequence_output") -> keras.Model:
    keras_hub = pytest.importorskip("keras_hub")
    backbone = keras_hub.models.BertBackbone(
        vocabulary_size=20,
        num_layers=2,
        num_heads=2,
        hidden_dim=8,
        intermediate_dim=16,
        max_sequence_length=12,
    )
    return keras.Model(backbone.input, backbone.output[output])


def sentences(padding: int = 0) -> dict[str, NDArray[np.int32]]:
    """Returns two sentences, the second one padded with the token `padding`."""
    tokens = np.array([[3, 1, 4, 1], [5, 9, padding, padding]], "int32")
    mask = np.array([[1, 1, 1, 1], [1, 1, 0, 0]], "int32")
    return {"token_ids": tokens, "padding_mask": mask, "segment_ids": 0 * tokens}
