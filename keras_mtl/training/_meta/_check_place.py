"""Where episodes can be trained: in which dtype, and on how many devices."""

import keras

from keras_mtl._replicas import num_replicas


def check_place(network: keras.Model) -> None:
    """Checks that inner steps keep their gradients, and that one device takes them.

    Raises:
        ValueError: If the network computes in float16, or the strategy has several replicas.
    """
    policies = {
        policy.name
        for layer in network.layers
        for policy in [getattr(layer, "dtype_policy", None)]
        if policy is not None
    }
    if any("float16" in name and "bfloat16" not in name for name in policies):
        raise ValueError(
            "the network computes in float16, where gradients of inner steps would be 0: "
            "nothing scales their losses. Build it with 'mixed_bfloat16' or 'float32'."
        )
    if num_replicas() > 1:
        raise ValueError(
            f"MetaModel trains on one device; the strategy has {num_replicas()} replicas. "
            "Build it outside of strategy.scope()."
        )
