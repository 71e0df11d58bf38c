"""One encoder per modality, and one body above them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, get_args

import keras

from keras_mtl._tasks import Task, check_tasks
from keras_mtl._types import Activation, Tensor
from keras_mtl.architectures._building import (
    Part,
    Tower,
    apply_part,
    check_separate_variables,
    end_towers,
    read_inputs,
)
from keras_mtl.layers import (
    BottleneckFusion,
    FillMissing,
    GatedFusion,
    ModalityDropout,
    PresenceFlags,
)

Fusion: TypeAlias = Literal["late", "gated", "bottleneck"]
Missing: TypeAlias = Literal["learned", "zeros"]
_PRESENT = "_present"


def multimodal(
    inputs: Any,
    tasks: Sequence[Task],
    *,
    encoders: Mapping[str, Part] | None = None,
    fusion: Fusion = "late",
    missing: Missing = "learned",
    dropout: float = 0.0,
    dropout_of_all: float = 0.0,
    tower: Tower = (32,),
    activation: Activation = "relu",
    name: str | None = "multimodal",
) -> keras.Model:
    """Encodes each modality by itself, and joins what is there for all tasks.

    With the features z_m of modality m, or a learned vector where it is missing, and the towers
    h_k,

        late:        y_k = h_k([z_1; ...; z_M])
        gated:       y_k = h_k(sum_m a_m z_m)    a: a softmax over the modalities that are there
        bottleneck:  y_k = h_k(B(z_1, ..., z_M)) B: attention through four tokens that they share

    An input named `<modality>_present`, `(batch,)`, says for each example whether the modality is
    there (above 0) or missing. Its numbers then count as nothing, whatever they are, also NaN
    (which `BalancedModel` refuses without `compile(check_inputs=False)`); so a served network
    takes the same inputs as in training, with zeros and a flag of 0 for what it lacks.
    A modality without a flag is always there. With `dropout`, modalities are left out at random
    in training (`layers.ModalityDropout`), so that each of them learns to do alone.

    Choose it for images, texts and tables of the same examples. Not the right choice where all
    inputs are columns of one table: give `hard_sharing` a dict of inputs. Zeros that mean "missing"
    without a flag are not recognized. (Halves of digits, dropout .2, accuracy with both, the top
    and the bottom alone: late .967, .843, .864; gated .966, .853, .865; late without dropout .968,
    .323, .497.)

    An example without any modality is answered too, also by what is exported: by what the towers
    make of the learned vectors alone (with `missing="zeros"`, of zeros). The answer is the same for
    all such examples and finite, and it depends on nothing in their inputs. It is arbitrary unless
    training has seen examples of this kind. With `dropout_of_all` it sees some, and answers about
    the share of each class, or the mean (the same digits, log loss without any half, of which the
    shares have 2.303: late 2.464, with .05 2.336, and .968 with both; gated 2.327, 2.314). Without
    it, give those that the data have the weight 0 (`data.mask_without_modality`), and refuse them
    where the network is used.

    Guide:
        Kind: nothing or one body
        Shares: one encoder per modality, and their fusion
        Choose it when: examples have several modalities, of which some may be missing
        Not when: all inputs are columns of one table
        Source: Neverova et al. 2016, arXiv:1501.00102

    Args:
        inputs: A dict of `keras.Input`: one for each modality, named as in `encoders`, and for
            those that may be missing a flag named `<modality>_present`. One input alone is the
            only modality, `"input"`.
        tasks: The tasks, at least one.
        encoders: For each modality, units of its encoder, or a recipe `input -> features`.
            Features are `(batch, channels)`: a recipe for images or texts ends in a pooling,
            except for a bottleneck, which reads `(batch, tokens, channels)` too. Defaults to
            `None`: one layer of 64 units for each.
        fusion: `"late"` joins the features; `"gated"` takes their weighted mean, and
            `"bottleneck"` lets them attend to shared tokens (`layers.BottleneckFusion`, of two
            layers and two heads), for which all encoders end in as many channels. Defaults to
            `"late"`.
        missing: What stands in for the features of a missing modality in a late fusion, and for
            those of all of them in the others, a `"learned"` vector or `"zeros"`. Defaults to
            `"learned"`.
        dropout: Probability with which each modality is left out in training, below 1, but never
            the last one of an example. Defaults to `0.0`.
        dropout_of_all: Probability with which an example loses all its modalities in training,
            below 1; a few hundredths are enough. It needs a flag for each modality. Defaults to
            `0.0`.
        tower: Units of each task's tower, or a recipe `features -> features` that makes new layers
            at each call. A dict gives each task a tower of its own (`None` stands for all others).
            Defaults to `(32,)`.
        activation: Activation of the layers made from units. Defaults to `"relu"`.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from a dict of inputs to a dict of predictions by task name.

    Raises:
        ValueError: If an encoder has no input, an input or a flag no encoder, features are not
            `(batch, channels)`, widths differ in a fusion that adds features, an argument is out of
            range, tasks share a name, or a tower ends in a shape that does not fit its task.
        TypeError: If an argument is of another type.

    Example:
        >>> import keras_mtl as mtl
        >>> inputs = {
        ...     "image": keras.Input((8, 8, 1), name="image"),
        ...     "image_present": keras.Input((), name="image_present"),
        ...     "table": keras.Input((5,), name="table"),
        ... }
        >>> encoders = {"image": lambda x: keras.layers.Flatten()(x), "table": (16,)}
        >>> network = mtl.architectures.multimodal(
        ...     inputs, [mtl.Task.binary("ill")], encoders=encoders, dropout=0.2
        ... )
        >>> network.get_layer("shared_fusion").output.shape  # 64 + 16
        (None, 80)

    Reference:
        Neverova et al., ModDrop: Adaptive Multi-modal Gesture Recognition, TPAMI 2016,
        arXiv:1501.00102, for the dropout of modalities, which here never takes the last one. The
        learned vectors and flags are common practice. Nagrani et al., arXiv:2107.00135, for the
        bottleneck.
    """
    tasks = check_tasks(tasks)
    inputs, tensors = read_inputs(inputs, tasks, join=False)
    if not isinstance(tensors, dict):
        tensors = {"input": tensors}
    if encoders is None:
        encoders = {key: (64,) for key in tensors if key not in _flags_of(tensors, tensors)}
    _check_arguments(tensors, encoders, fusion, missing)

    flags = _read_flags(tensors, list(encoders), dropout, dropout_of_all)
    features = {
        modality: _encode(tensors[modality], flags, i, modality, encoders[modality], activation)
        for i, modality in enumerate(encoders)
    }
    _check_features(features, fusion)
    check_separate_variables(features, tensors.values())
    may_lack_all = len(_flags_of(tensors, encoders)) == len(encoders)
    fused = _fuse(features, flags, fusion, missing, may_lack_all)

    outputs = end_towers(tower, {task.name: fused for task in tasks}, tasks, activation)
    return keras.Model(inputs, outputs, name=name)


def _flags_of(tensors: Mapping[str, Any], modalities: Iterable[str]) -> set[str]:
    """Returns the names of the inputs that are flags of modalities."""
    return {f"{modality}{_PRESENT}" for modality in modalities} & {*tensors}


def _check_arguments(
    tensors: Mapping[str, Tensor], encoders: Mapping[str, Part], fusion: str, missing: str
) -> None:
    """Checks that each modality has an input and an encoder, and that options are known."""
    if not isinstance(encoders, Mapping):
        raise TypeError(f"encoders must be a dict by modality; received {encoders!r}.")
    modalities = {*tensors} - (_flags_of(tensors, encoders) - {*encoders})
    if modalities != {*encoders} or not encoders:
        raise ValueError(
            f"encoders must have exactly the modalities of inputs; inputs without an encoder: "
            f"{sorted(modalities - {*encoders})}, encoders without an input: "
            f"{sorted({*encoders} - modalities)}. The flag of a modality is an input named "
            f"'<modality>{_PRESENT}'."
        )
    for argument, value, known in (("fusion", fusion, Fusion), ("missing", missing, Missing)):
        if value not in get_args(known):
            raise ValueError(f"{argument} must be one of {get_args(known)}; received {value!r}.")


def _read_flags(
    tensors: Mapping[str, Tensor], modalities: list[str], dropout: float, dropout_of_all: float
) -> Any:
    """Returns flags `(batch, modalities)`, or `None` where all modalities are always there."""
    flagged = [f"{modality}{_PRESENT}" in tensors for modality in modalities]
    if dropout_of_all != 0 and not all(flagged):
        always = [m for m, has_flag in zip(modalities, flagged, strict=True) if not has_flag]
        raise ValueError(
            f"dropout_of_all={dropout_of_all!r} is for examples without any modality, and {always} "
            f"have no flag, so that they are always there. Add an input '{always[0]}{_PRESENT}', "
            "or leave dropout_of_all out."
        )
    if not any(flagged) and dropout == 0:
        return None
    given_flags = [tensors[f"{m}{_PRESENT}"] for m in modalities if f"{m}{_PRESENT}" in tensors]
    flags = PresenceFlags(flagged, name="shared_presence")([tensors[modalities[0]], *given_flags])
    if dropout == 0 and dropout_of_all == 0:
        return flags
    return ModalityDropout(dropout, rate_of_all=dropout_of_all, name="shared_modality_dropout")(
        flags
    )


def _encode(
    tensor: Tensor, flags: Any, index: int, modality: str, encoder: Part, activation: Activation
) -> Tensor:
    """Encodes one modality, whose missing rows are zeros before the encoder."""
    if flags is not None:
        fill = FillMissing(index, learned=False, name=f"shared_{modality}_input")
        tensor = fill([tensor, flags])
    return apply_part(encoder, tensor, f"shared_{modality}_encoder", activation)


def _check_features(features: Mapping[str, Tensor], fusion: Fusion) -> None:
    """Checks that the features of each modality have axes that the fusion reads."""
    ranks = (2, 3) if fusion == "bottleneck" else (2,)
    axes = "(batch, channels)" + " or (batch, tokens, channels)" * (fusion == "bottleneck")
    for modality, part in features.items():
        if len(part.shape) not in ranks or part.shape[-1] is None:
            raise ValueError(
                f"modality {modality!r}: its encoder must end in {axes}; received features of "
                f"shape {part.shape}. End it in a pooling or keras.layers.Flatten()."
            )


def _fuse(
    features: Mapping[str, Tensor], flags: Any, fusion: Fusion, missing: Missing, may_lack_all: bool
) -> Tensor:
    """Joins the features of all modalities to those that the towers read."""
    parts = list(features.values())
    if fusion != "late":
        learned = may_lack_all and missing == "learned"
        if flags is None:
            flags = PresenceFlags([False] * len(parts), name="shared_presence")([parts[0]])
        layer = GatedFusion if fusion == "gated" else BottleneckFusion
        return layer(learned=learned, name="shared_fusion")([*parts, flags])
    if flags is not None:
        parts = [
            FillMissing(i, learned=missing == "learned", name=f"shared_{modality}_features")(
                [part, flags]
            )
            for i, (modality, part) in enumerate(features.items())
        ]
    if len(parts) == 1:
        return parts[0]
    return keras.layers.Concatenate(name="shared_fusion")(parts)
