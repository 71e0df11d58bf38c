"""Weights of the losses of modalities, by what each gains and how much it overfits."""

from collections.abc import Mapping, Sequence

import numpy as np


def blending_weights(
    training: Mapping[str, Sequence[float]],
    validation: Mapping[str, Sequence[float]],
    *,
    least_growth: float = 1e-3,
) -> dict[str, float]:
    """Computes weights for the losses of modalities that are trained together (gradient blending).

    With the training loss t and the validation loss v of the head of modality m, before (0) and
    after (1) some epochs:

        G_m = v_0 - v_1                           what it gains
        O_m = (v_1 - t_1) - (v_0 - t_0)           by how much its gap grows
        w_m = max(G_m, 0) / (2 O_m^2), divided by their sum

    Give each modality a head of its own, as a task of the same labels beside the task of all
    modalities, measure the losses as logged before and after the epochs, and pass the result on as
    the weights of `balancers.Schedule` or `Task.weight`.

    Choose it where networks of several modalities do worse than that of the best of them alone,
    since one learns by heart what another would have generalized. With small validation sets O_m is
    noise, and its square in the denominator more so: compare with equal weights.

    Args:
        training: The losses of the training before and after, by modality.
        validation: Those of the validation, by the same modalities.
        least_growth: What stands for |O_m| if it is smaller, in the unit of the loss; above 0.
            Defaults to `1e-3`.

    Returns:
        Weights by modality, which sum to 1; one that has gained nothing gets 0.

    Raises:
        ValueError: If the modalities differ, losses are no pairs of finite numbers, or none has
            gained anything.

    Example:
        >>> training = {"image": [1.0, 0.5], "sound": [1.0, 0.2]}
        >>> weights = blending_weights(training, {"image": [1.0, 0.6], "sound": [1.0, 0.7]})
        >>> {name: round(weight, 4) for name, weight in weights.items()}
        {'image': 0.9709, 'sound': 0.0291}

    Reference:
        Wang et al. 2020, arXiv:1905.12681. A gain below 0 and a growth near 0, for which the rule
        says nothing, are cut here.
    """
    if {*training} != {*validation} or not training:
        raise ValueError(
            "training and validation must have the same modalities, one at least; received "
            f"{sorted(training)} and {sorted(validation)}."
        )
    if not 0 < least_growth < np.inf:
        raise ValueError(f"least_growth must be positive; received {least_growth!r}.")
    weights = {}
    for name in training:
        pairs = np.array([training[name], validation[name]], "float64")
        if pairs.shape != (2, 2) or not np.isfinite(pairs).all():
            raise ValueError(
                f"modality {name!r}: losses must be two finite numbers, before and after; received "
                f"{training[name]!r} and {validation[name]!r}."
            )
        gain = pairs[1, 0] - pairs[1, 1]
        gaps = pairs[1] - pairs[0]
        growth = max(abs(gaps[1] - gaps[0]), least_growth)
        weights[name] = float(max(gain, 0.0) / (2.0 * growth**2))
    total = sum(weights.values())
    if total == 0:
        raise ValueError(
            f"no modality of {sorted(training)} has gained anything on validation data: take more "
            "epochs, or equal weights."
        )
    return {name: weight / total for name, weight in weights.items()}
