"""What networks take, before and after they were cut."""

import keras
import numpy as np
import pytest

import keras_mtl as mtl
from keras_mtl import Task, architectures, export

TASKS = [Task.binary(f"assay_{i}") for i in (3, 0, 2, 1)]


def test_a_cut_network_has_less_of_everything_that_is_counted():
    network = architectures.mmoe(
        keras.Input((6,)), TASKS, num_experts=3, expert=(5,), tower=(4,), name="whole"
    )
    cut = export.single_task(network, "assay_0")
    result = export.footprint({"whole": network, "alone": cut}, batch_size=8, repeats=1)
    whole, alone = result["whole"], result["alone"]
    assert alone.parameters == 3 * 7 * 5 + 6 * 3 + 6 * 4 + 5
    # Twice the entries of kernels, the biases, the mixture of 3 experts, and the 3 operations of
    # a softmax with its 3 entries.
    products = 2 * (3 * 6 * 5 + 6 * 3 + 5 * 4 + 4) + 2 * 3 * 5
    assert products + 3 * 5 + 5 <= alone.flops <= products + 3 * 5 + 5 + 5 * 3
    assert alone.flops < whole.flops
    assert 4 * alone.parameters < alone.bytes < whole.bytes
    assert alone.milliseconds > 0
    table = str(result).splitlines()
    assert len(table) == 4
    assert table[3].startswith(f"| alone | {alone.parameters:,} (")


def test_what_no_output_needs_is_not_counted_as_an_operation():
    tasks = [Task.binary(f"assay_{i}") for i in range(8)]
    network = architectures.hard_sharing(keras.Input((6,)), tasks, shared=(5,), tower=(4,))
    signature = keras.Model(network.input, {"assay_2": network.output["assay_2"]})
    cut = export.single_task(network, "assay_2")
    result = export.footprint({"signature": signature, "cut": cut}, batch_size=8, repeats=1)
    assert result["signature"].flops == result["cut"].flops
    assert result["signature"].parameters > 2 * result["cut"].parameters


def test_strings_loops_and_axes_of_unknown_size():
    city = keras.Input((1,), dtype="string", name="city")
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    words = keras.layers.StringLookup(vocabulary=["Oslo"], output_mode="one_hot")(city)
    hidden = keras.layers.LSTM(2)(keras.layers.Embedding(3, 2)(tokens))
    outputs = {"zeta": keras.layers.Dense(1)(words), "alpha": keras.layers.Dense(1)(hidden)}
    network = keras.Model({"city": city, "tokens": tokens}, outputs, name="both")
    model = mtl.BalancedModel(
        network, [Task.regression("zeta"), Task.regression("alpha")], mtl.balancers.Equal()
    )
    result = export.footprint(
        {"both": model, "zeta": export.single_task(network, "zeta")}, repeats=1, unknown_size=3
    )
    assert result["both"].flops is None
    assert "not counted" in str(result)
    assert np.isfinite(result["zeta"].flops)
    alone = export.footprint(export.single_task(network, "zeta"), repeats=1)
    assert [*alone.networks] == ["both"]


def test_a_model_without_a_graph_is_refused():
    with pytest.raises(TypeError, match="must be functional"):
        export.footprint({"plain": keras.Sequential([keras.layers.Dense(1)])})
