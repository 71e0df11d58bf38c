"""Changes of the size of features, so that they can be joined."""

import keras

from keras_mtl._types import Tensor

# By the rank of the features.
_POOL = {3: keras.layers.MaxPooling1D, 4: keras.layers.MaxPooling2D}
_ENLARGE = {3: keras.layers.UpSampling1D, 4: keras.layers.UpSampling2D}


def resize_like(features: Tensor, target: Tensor, name: str) -> Tensor:
    """Pools or enlarges features to the positions of other features.

    Args:
        features: Features `(batch, ..., units)`.
        target: Features with as many axes; the sizes of their positions may differ by a whole
            factor, the same for all axes.
        name: Name of the layer.

    Returns:
        Features with the units of `features` and the positions of `target`; the features
        themselves if their positions are equal.

    Raises:
        ValueError: If the sizes do not fit, or differ and are not known.
    """
    sizes, target_sizes = features.shape[1:-1], target.shape[1:-1]
    if sizes == target_sizes:
        return features
    are_known = None not in (*sizes, *target_sizes)
    if len(sizes) == len(target_sizes) and len(sizes) + 2 in _POOL and are_known:
        if all(size >= goal for size, goal in zip(sizes, target_sizes, strict=True)):
            factor = round(sizes[0] / target_sizes[0])
            # Pooling with padding rounds up.
            if tuple(-(-size // factor) for size in sizes) == target_sizes:
                pool = _POOL[len(features.shape)]
                return pool(factor, padding="same", name=name)(features)
        factor = round(target_sizes[0] / sizes[0])
        if tuple(size * factor for size in sizes) == target_sizes:
            return _ENLARGE[len(features.shape)](factor, name=name)(features)
    raise ValueError(
        f"{name}: features of the shape {features.shape} cannot be brought to {target.shape}: "
        "sizes must be known, and one a whole multiple of the other. Choose other stages, or an "
        "input of fixed size."
    )
