"""Values of layers, taken from another network by name."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_mtl.training import BalancedModel
from keras_mtl.transfer._networks import (
    find_layers,
    layers_by_path,
    match_layers,
    read_network,
    read_patterns,
)
from keras_mtl.transfer._pair_variables import Pairs, pair_variables


@dataclasses.dataclass(frozen=True)
class TrunkReport:
    """Says what `load_trunk` took from the source, layer by layer.

    Attributes:
        taken: The layers whose variables have the values of the source, with the number of their
            variables.
        missing: The layers that were asked for and that the source does not have. They keep their
            values.
        unlike: The layers that the source has in another form, each with sentences that say what
            differs. They keep their values. Not empty only with `skip_unlike=True`.
        unused: The layers of the source whose names match and that the network does not have.

    Example:
        >>> print(TrunkReport({"shared_body_0": 2}, ("shared_body_1",), {}, ()))
        taken: shared_body_0 (2 variables)
        missing in the source: shared_body_1
    """

    taken: Mapping[str, int]
    missing: tuple[str, ...]
    unlike: Mapping[str, tuple[str, ...]]
    unused: tuple[str, ...]

    def __str__(self) -> str:
        counts = [f"{path} ({count} variables)" for path, count in self.taken.items()]
        reasons = [f"{path} ({'; '.join(why)})" for path, why in self.unlike.items()]
        lines = {
            "taken": counts,
            "missing in the source": self.missing,
            "unlike, not taken": reasons,
            "only in the source": self.unused,
        }
        return "\n".join(f"{title}: {', '.join(paths)}" for title, paths in lines.items() if paths)


def load_trunk(
    network: keras.Model,
    path: Any,
    layers: str | Sequence[str] = "shared_*",
    *,
    skip_unlike: bool = False,
    custom_objects: Mapping[str, Any] | None = None,
) -> TrunkReport:
    """Gives layers of a network the values that layers of the same names have in another one.

    Choose it to begin with what was learned before: a trunk that was trained on an intermediate
    task with many labels, on the tasks of last year, or by another balancer. Not where the source
    learned from other inputs: its first layer would read other columns in their places, which no
    shape shows.

    Layers are found by name, and never by position, and their variables by name within the layer.
    Moving averages of batch normalization are taken with the rest. What is frozen stays so. The
    optimizer of a model that was trained before keeps its moments of the old values: call it before
    `compile`, or compile again with a new optimizer.

    Args:
        network: A functional network, or the `BalancedModel` that trains it; its variables change.
        path: A `.keras` file of a network or of a `BalancedModel`; or a `keras.Model` itself.
        layers: Patterns of names of layers, such as `"shared_*"` or `["encoder", "stem_*"]`; a
            layer of a model inside of the network is called `outer/inner`, and its own name is
            enough. Defaults to `"shared_*"`, the trunk of all architectures of this package.
        skip_unlike: Whether layers of another shape, or lookups of another vocabulary, are left as
            they are, and reported. Defaults to `False`: they are an error.
        custom_objects: Classes by name that are needed to load the file, as in
            `keras.saving.load_model`. Defaults to `None`.

    Returns:
        What was taken, what is missing, what is unlike. Print it.

    Raises:
        TypeError: If the network does not show its graph, or `path` is neither a path nor a model.
        ValueError: If the file is no `.keras` file, no layer matches, the source has none of the
            layers, or a layer of it has another shape. Nothing was changed then. The message lists
            the layers.

    Example:
        >>> import keras_mtl as mtl
        >>> first = [mtl.Task.binary("click"), mtl.Task.regression("price")]
        >>> trained = mtl.architectures.hard_sharing(keras.Input((4,)), first, shared=(8,))
        >>> second = [mtl.Task.binary("buy"), mtl.Task.regression("price")]
        >>> network = mtl.architectures.hard_sharing(keras.Input((4,)), second, shared=(8, 8))
        >>> print(load_trunk(network, trained))
        taken: shared_body_0 (2 variables)
        missing in the source: shared_body_1

    Reference:
        Training on an intermediate task first: Phang et al. 2018 (STILTs), arXiv:1811.01088.
    """
    network = read_network(network)
    patterns = read_patterns(layers, "layers")
    targets = _with_variables(match_layers(network, patterns, "layers"))
    model = _read_source(path, custom_objects)
    sources = layers_by_path(model)
    if not any(target in sources for target in targets):
        raise ValueError(
            f"the source {model.name!r} has none of the layers {list(targets)}; its layers are "
            f"{list(sources)}. Give the layers the same names in both networks."
        )
    pairs: dict[str, Pairs] = {}
    unlike: dict[str, tuple[str, ...]] = {}
    for target, layer in targets.items():
        if target in sources:
            pairs[target], reasons = pair_variables(layer, sources[target])
            if reasons:
                unlike[target] = tuple(reasons)
    _check_unlike(unlike, skip_unlike, network, model)
    taken = {target: layer_pairs for target, layer_pairs in pairs.items() if target not in unlike}
    for variable, value in (pair for layer_pairs in taken.values() for pair in layer_pairs):
        variable.assign(keras.ops.convert_to_numpy(value))
    return TrunkReport(
        {target: len(layer_pairs) for target, layer_pairs in taken.items()},
        tuple(target for target in targets if target not in sources),
        unlike,
        _unused(model, patterns, targets),
    )


def _with_variables(layers: Mapping[str, keras.layers.Layer]) -> dict[str, keras.layers.Layer]:
    """Returns the layers that hold something: variables or a vocabulary.

    Raises:
        ValueError: If none does.
    """
    holding = {
        path: layer
        for path, layer in layers.items()
        if layer.weights or hasattr(layer, "get_vocabulary")
    }
    if not holding:
        raise ValueError(f"the layers {list(layers)} have no variables to be loaded.")
    return holding


def _read_source(path: Any, custom_objects: Mapping[str, Any] | None) -> keras.Model:
    """Returns the network of a file, or of a model.

    Raises:
        TypeError: If it is neither a path nor a model.
        ValueError: If it is no `.keras` file.
    """
    model = path
    if not isinstance(path, keras.Model):
        file = pathlib.Path(path)
        if file.suffix != ".keras" or not file.is_file():
            raise ValueError(
                "path must be a .keras file that exists, or a keras.Model; received "
                f"{str(path)!r}. A file of weights alone has no names of layers: load it into the "
                "network that it was saved from, network.load_weights(path), and pass that network."
            )
        model = keras.saving.load_model(file, custom_objects=custom_objects, compile=False)
    return model.network if isinstance(model, BalancedModel) else model


def _check_unlike(
    unlike: Mapping[str, Sequence[str]],
    skip_unlike: bool,
    network: keras.Model,
    source: keras.Model,
) -> None:
    """Refuses layers that have another form in the source, unless they shall be skipped."""
    if unlike and not skip_unlike:
        listed = "".join(f"\n  {path}: {'; '.join(why)}" for path, why in unlike.items())
        raise ValueError(
            f"layers of the network {network.name!r} differ from those of the source "
            f"{source.name!r}:{listed}\nBuild the network with the sizes of the source, choose "
            "other layers=..., or leave these as they are by skip_unlike=True. Nothing was changed."
        )


def _unused(
    source: keras.Model, patterns: Sequence[str], targets: Mapping[str, Any]
) -> tuple[str, ...]:
    """Returns the layers of the source that match, hold variables, and were not asked for."""
    matched = find_layers(source, patterns)
    return tuple(path for path, layer in matched.items() if layer.weights and path not in targets)
