"""Copies of layers, with all that they hold."""

import inspect
import tempfile
import warnings
from collections.abc import Mapping
from typing import Any

import keras

from keras_mtl._keras_internals import copy_operation, has_plain_graph, nested_layers


class LayerCopies:
    """Copies the layers of a network, each once, however often it is called.

    A copy has the configuration of its layer, copies of its variables (those of seeds too), its
    lookup tables, and the flags that say which of its layers and variables are trained.
    """

    def __init__(self) -> None:
        self._originals: dict[int, Any] = {}
        self._copies: dict[int, Any] = {}

    def call(self, operation: Any, args: Any, kwargs: Mapping[str, Any]) -> Any:
        """Calls the copy of a layer, which the first call makes, or of a weightless operation."""
        if not isinstance(operation, keras.layers.Layer):
            return copy_operation(operation)(*args, **kwargs)
        if id(operation) in self._copies:
            return self._copies[id(operation)](*args, **kwargs)
        copy = _from_config(operation)
        output = copy(*args, **kwargs)  # builds the copy, which has no variables before
        self.add(operation, copy)
        _copy_state(operation, copy)
        return output

    def get(self, layer: Any) -> Any:
        """Returns the copy of a layer, or `None` if it has none yet."""
        return self._copies.get(id(layer))

    def add(self, layer: keras.layers.Layer, copy: keras.layers.Layer) -> None:
        """Enters a copy that was made in another way: a narrowed one, or that of a model."""
        self._originals[id(layer)] = layer
        self._copies[id(layer)] = copy

    def finish(self) -> None:
        """Copies the flags of what is trained, and checks that shared variables are still shared.

        Raises:
            ValueError: If two layers share a variable in a way that a configuration does not tell.
        """
        pairs = [(layer, self._copies[key]) for key, layer in self._originals.items()]
        # A model comes behind its layers, and hands its own flag down to them: so it goes first.
        for layer, copy in reversed(pairs):
            copy.trainable = layer.trainable
        for layer, copy in pairs:
            if not has_plain_graph(layer):  # the layers of such a model are pairs themselves
                _copy_flags(layer, copy)
        _check_ties(pairs)


def _from_config(layer: keras.layers.Layer) -> Any:
    """Returns a new layer of the same configuration.

    Raises:
        ValueError: If its configuration does not describe it.
    """
    names: dict[str, Any] = {}
    # Classes and functions of users need not be registered: they are at hand.
    for inner in nested_layers(layer):
        names[type(inner).__name__] = type(inner)
        for value in vars(inner).values():
            if inspect.isfunction(value):
                names[value.__name__] = value
            elif isinstance(value, _SERIALIZED):
                names[type(value).__name__] = type(value)
    try:
        config = _config_of(layer)
        if type(layer) is keras.layers.Lambda:
            return keras.layers.Lambda(**config)
        with keras.saving.custom_object_scope(names):
            return type(layer).from_config(config)
    except Exception as error:
        raise ValueError(
            f"the layer {layer.name!r} ({type(layer).__name__}) cannot be copied: {error} A layer "
            "of your own needs a get_config() that returns the arguments of its constructor."
        ) from error


def _config_of(layer: keras.layers.Layer) -> dict[str, Any]:
    """Returns the configuration of a layer, with lambdas as they are.

    Keras writes lambdas, but makes none of what it wrote, for fear of files; these are at hand
    (docs/keras_notes.md, pain 134).
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The object being serialized includes a `lambda`")
        config: dict[str, Any] = layer.get_config()
    if type(layer) is keras.layers.Lambda:
        return {**config, "function": layer.function, "mask": layer.mask}
    activation = getattr(layer, "activation", None)
    if "activation" in config and getattr(activation, "__name__", None) == "<lambda>":
        return {**config, "activation": activation}
    return config


_SERIALIZED = (
    keras.initializers.Initializer,
    keras.regularizers.Regularizer,
    keras.constraints.Constraint,
)


def _copy_state(layer: keras.layers.Layer, copy: keras.layers.Layer) -> None:
    """Copies the variables and the tables of a layer, and of the layers inside of it."""
    for variable, new_variable in _pair_variables(layer, copy):
        new_variable.assign(variable)
    for inner, new_inner in zip(nested_layers(layer), nested_layers(copy), strict=True):
        if isinstance(inner, keras.layers.StringLookup | keras.layers.IntegerLookup):
            _copy_table(inner, new_inner)
        # The table of a TextVectorization is that of a lookup layer inside of it.
        elif hasattr(inner, "save_assets") and type(inner) is not keras.layers.TextVectorization:
            with tempfile.TemporaryDirectory() as folder:
                inner.save_assets(folder)
                new_inner.load_assets(folder)
        if isinstance(inner, keras.layers.Normalization):
            new_inner.finalize_state()  # computes its constants from the variables


def _pair_variables(layer: keras.layers.Layer, copy: keras.layers.Layer) -> list[tuple[Any, Any]]:
    """Returns the variables of a layer with those of its copy."""
    old, new = list(layer.variables), list(copy.variables)
    names, new_names = [v.name for v in old], [v.name for v in new]
    # A layer that was quantized to float8 has its variables in another order than one that was
    # built so (docs/keras_notes.md, pain 61). Layers inside are in one order, and sorting keeps it.
    if names != new_names and sorted(names) == sorted(new_names):
        old, new = (sorted(variables, key=lambda v: v.name) for variables in (old, new))
    return list(zip(old, new, strict=True))


def _copy_table(lookup: Any, copy: Any) -> None:
    """Copies the vocabulary of a lookup layer, if it was learned by `adapt`."""
    if lookup.input_vocabulary is not None:
        return  # the configuration has it
    if lookup.output_mode != "tf_idf":
        # Its file would end a word at each character that ends a line.
        copy.set_vocabulary(lookup.get_vocabulary(include_special_tokens=False))
        return
    words, idf = lookup.get_vocabulary(), keras.ops.convert_to_numpy(lookup.idf_weights_const)
    copy.set_vocabulary(words, idf_weights=idf)


def _copy_flags(layer: keras.layers.Layer, copy: keras.layers.Layer) -> None:
    # Keras saves that a layer is frozen, but not that the layers inside it are
    # (docs/keras_notes.md, pain 66). Setting the flag of a layer sets those inside: outer ones
    # come first.
    for inner, new_inner in zip(nested_layers(layer), nested_layers(copy), strict=True):
        new_inner.trainable = inner.trainable
    for variable, new_variable in _pair_variables(layer, copy):
        new_variable.trainable = variable.trainable


def _check_ties(pairs: list[tuple[Any, Any]]) -> None:
    """Checks that each variable has one copy.

    Raises:
        ValueError: If two layers share a variable, and their copies do not.
    """
    copies: dict[int, tuple[Any, keras.layers.Layer]] = {}
    for layer, copy in pairs:
        if has_plain_graph(layer):
            continue
        for variable, new_variable in _pair_variables(layer, copy):
            first, other = copies.setdefault(id(variable), (new_variable, layer))
            if first is not new_variable:
                raise ValueError(
                    f"the layers {other.name!r} and {layer.name!r} share the variable "
                    f"{variable.path!r}, and copies of them would not. Share the layer instead: "
                    "call one layer in both places."
                )
