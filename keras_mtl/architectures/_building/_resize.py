"""Features of one size brought to another."""

import keras

from keras_mtl._types import Tensor

_POOLS = {3: keras.layers.MaxPooling1D, 4: keras.layers.MaxPooling2D}
_ENLARGE = {3: keras.layers.UpSampling1D, 4: keras.layers.UpSampling2D}


def resize_like(features: Tensor, like: Tensor, name: str) -> Tensor:
    """Pools or enlarges features to the positions of others.

    Args:
        features: Features `(batch, ..., units)`.
        like: Features with as many axes; the sizes of their positions may differ by a whole
            factor, the same for all axes.
        name: Name of the layer.

    Raises:
        ValueError: If the sizes do not fit, or differ and are not known.
    """
    here, there = features.shape[1:-1], like.shape[1:-1]
    if here == there:
        return features
    if len(here) == len(there) and len(here) + 2 in _POOLS and None not in (*here, *there):
        if all(size >= target for size, target in zip(here, there, strict=True)):
            factor = round(here[0] / there[0])
            if tuple(-(-size // factor) for size in here) == there:
                pool = _POOLS[len(features.shape)]
                return pool(factor, padding="same", name=name)(features)
        factor = round(there[0] / here[0])
        if tuple(size * factor for size in here) == there:
            return _ENLARGE[len(features.shape)](factor, name=name)(features)
    raise ValueError(
        f"{name}: features of the shape {features.shape} cannot be brought to {like.shape}: sizes "
        "must be known, and one a whole multiple of the other. Choose other stages, or an input "
        "of fixed size."
    )
