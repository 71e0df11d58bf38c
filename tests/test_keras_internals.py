"""Keras's internals: used in one room alone, and what that room says of graphs."""

import os
import pathlib
import re
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_mtl._keras_internals import (
    has_readers,
    is_functional,
    is_symbolic,
    nodes_above,
    operations_after,
    replay,
    walk,
)

ROOT = pathlib.Path(__file__).parents[1]
ROOM = ROOT / "keras_mtl" / "_keras_internals"
# Attributes and hooks that Keras does not export.
PRIVATE = re.compile(
    r"_keras_history|_keras_mask|_keras_logits|_inbound_nodes|_outbound_nodes|_inputs_struct"
    r"|_run_through_graph|_flatten_layers|_symbolic_build|_compile_metrics|_compile_loss"
    r"|_loss_tracker|_use_weight_decay|\._direction\b|\._nodes\b|[\"']_nodes[\"']|keras\.src"
)


def test_no_other_room_names_what_keras_keeps_to_itself():
    sources = [path for path in (ROOT / "keras_mtl").rglob("*.py") if path.parent != ROOM]
    assert len(sources) > 200
    uses = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in sources
        for name in PRIVATE.findall(path.read_text())
    }
    assert not uses


def test_the_room_itself_is_where_they_are():
    assert PRIVATE.search("".join(path.read_text() for path in ROOM.glob("*.py")))


def residual_network(blocks):
    inputs = features = keras.Input((2,), name="table")
    for i in range(blocks):
        features = keras.layers.Add(name=f"add_{i}")([features, features])
    return inputs, features


def test_a_node_is_walked_once_however_many_paths_lead_to_it():
    inputs, output = residual_network(blocks=60)  # 2^60 paths
    nodes = list(nodes_above([output]))
    assert len(nodes) == 61
    assert nodes[0].operation.name == "add_59"
    assert nodes[-1].output_tensors[0] is inputs


def test_a_second_walk_yields_only_what_the_first_has_not_visited():
    _, output = residual_network(blocks=2)
    longer = keras.layers.Dense(1, name="dense")(output)
    visited = set()
    assert len(list(nodes_above([output], visited))) == 3
    assert [node.operation.name for node in nodes_above([longer], visited)] == ["dense"]


def test_a_node_that_is_not_entered_is_met_once_for_each_of_its_tensors():
    inputs = keras.Input((4,))
    left, right = keras.ops.split(inputs, 2, axis=-1)
    output = keras.layers.Add()([left, right])
    split = next(iter(nodes_above([left])))
    met = [tensor for tensor, node in walk([output], enter=lambda n: n is not split)]
    assert [id(tensor) for tensor in met[1:]] == [id(right), id(left)]


def test_a_walk_can_be_rerouted_around_a_node():
    inputs = keras.Input((4,), name="table")
    hidden = keras.layers.Dense(3, name="hidden")(inputs)
    output = keras.layers.Dense(1, name="last")(hidden)
    around = walk([output], reroute=lambda tensor: inputs if tensor is hidden else tensor)
    assert [node.operation.name for _, node in around] == ["last", "table"]


def test_operations_after_a_layer_are_found_once_and_not_beyond_a_border():
    inputs = keras.Input((4,))
    first = keras.layers.Dense(3, name="first")
    hidden = first(inputs)
    assert not has_readers(first)
    left, right = (keras.layers.Dense(3, name=name)(hidden) for name in ("left", "right"))
    keras.layers.Add(name="both")([left, right])
    assert has_readers(first)
    assert {layer.name for layer in operations_after(first)} == {"left", "right", "both"}
    border = operations_after(first, enter=lambda layer: False)
    assert {layer.name for layer in border} == {"left", "right"}


def test_a_replay_shares_the_layers_and_hands_on_the_mask_of_its_own_features():
    tokens, more_tokens = keras.Input((None,)), keras.Input((None,))
    embed = keras.layers.Embedding(5, 2, mask_zero=True)
    features, more_features = embed(tokens), embed(more_tokens)
    output = keras.layers.GlobalAveragePooling1D()(features)
    model = keras.Model(more_tokens, replay(features, output, more_features))
    rows = model(np.array([[1, 2, 0]]))
    vectors = keras.ops.convert_to_numpy(embed.embeddings)
    np.testing.assert_allclose(rows[0], vectors[1:3].mean(axis=0), rtol=1e-6)


def test_functional_models_and_symbolic_tensors_are_told_from_others():
    inputs = keras.Input((4,))

    class Subclassed(keras.Model):
        def call(self, x):
            return x

    assert is_functional(keras.Model(inputs, keras.layers.Dense(1)(inputs)))
    assert not is_functional(keras.Sequential([inputs, keras.layers.Dense(1)]))
    assert not is_functional(Subclassed())
    assert is_symbolic(inputs)
    assert not is_symbolic(keras.KerasTensor((4,)))
    assert not is_symbolic(np.zeros(4))


SLICE = (
    "tests/test_keras_internals.py",
    "tests/training/test_exact_steps.py",
    "tests/training/test_networks_of_users.py",
    "tests/tasks/test_losses_metrics.py",
)


@pytest.mark.slow
def test_the_core_works_with_the_newest_keras_that_pip_finds(tmp_path):
    """The package pins `keras<4`; this fails on the day on which a release moves an internal."""
    newest = tmp_path / "newest"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--upgrade"]
    subprocess.run([*install, "--target", str(newest), "keras"], check=True, timeout=300)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(newest), str(ROOT)])}
    version = subprocess.run(
        [sys.executable, "-c", "import keras; print(keras.__file__, keras.__version__)"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert version.startswith(str(newest)), version
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", *SLICE],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert done.returncode == 0, f"Keras {version}\n{done.stdout[-4000:]}"
