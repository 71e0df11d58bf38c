import keras
import numpy as np
from maps_by_hand import convolve, draw
from scipy import special

from keras_mtl.layers import AttentiveMessages


def test_it_adds_what_attention_lets_through():
    task_map, one, two = draw(2, 4, 5, 3), draw(2, 4, 5, 2, seed=1), draw(2, 4, 5, 3, seed=2)
    layer = AttentiveMessages()
    result = layer([task_map, one, two])
    expected = task_map.astype("float64")
    for i, sender in enumerate((one, two)):
        attention, message = layer.attentions[i].kernel, layer.messages[i].kernel
        gate = special.expit(convolve(sender, np.asarray(attention, "float64")))
        expected += gate * convolve(sender, np.asarray(message, "float64"))
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)


def test_each_sender_has_two_convolutions_of_its_own():
    layer = AttentiveMessages(kernel_size=1)
    layer([keras.Input((4, 4, 3)), keras.Input((4, 4, 2)), keras.Input((4, 4, 2))])
    assert [tuple(v.shape) for v in layer.trainable_variables] == [(1, 1, 2, 3)] * 4
    kernels = [np.asarray(v) for v in layer.trainable_variables]
    assert all(np.abs(a - b).max() > 0.01 for i, a in enumerate(kernels) for b in kernels[:i])


def test_it_reloads_with_its_weights(tmp_path):
    inputs = [keras.Input((4, 4, 2)), keras.Input((4, 4, 3))]
    model = keras.Model(inputs, AttentiveMessages(5)(inputs))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    maps = [draw(1, 4, 4, 2), draw(1, 4, 4, 3)]
    np.testing.assert_array_equal(model(maps), again(maps))
    assert again.layers[-1].kernel_size == 5
