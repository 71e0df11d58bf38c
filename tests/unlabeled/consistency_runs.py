"""Counts on two replicas how often rows at one position are changed in the same way."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl.training._dropout_seeds import seeds_by_replica
from keras_mtl.unlabeled import Consistency


class Kept(keras.layers.Layer):
    """Remembers in a variable on each replica what it returns."""

    def __init__(self, layer: keras.layers.Layer) -> None:
        super().__init__()
        self.layer = layer

    def build(self, shape: tuple[int | None, ...]) -> None:
        self.seen = tf.Variable(
            tf.zeros((4, 3)), trainable=False, synchronization=tf.VariableSynchronization.ON_READ
        )

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        changed = self.layer(inputs, training=training)
        self.seen.assign(changed)
        return changed


def main() -> None:
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    names = [device.name for device in tf.config.list_logical_devices("CPU")]
    strategy = tf.distribute.MirroredStrategy(names)
    tasks = [mtl.Task.binary("z"), mtl.Task.binary("a")]
    outside = keras.layers.GaussianNoise(1.0)
    with strategy.scope():
        network = mtl.architectures.hard_sharing(keras.Input((3,)), tasks, shared=(4,))
        balancer = mtl.balancers.Equal()
        try:
            mtl.BalancedModel(network, tasks, balancer, prepare=Consistency(outside, name="c"))
        except ValueError as error:
            print(error)
    show("noise", strategy, tasks, keras.layers.GaussianNoise, 1.0)
    show("swapped cells", strategy, tasks, mtl.unlabeled.SwapCells, 0.5)
    with strategy.scope():
        dropout = mtl.layers.ModalityDropout(0.5)

    def drop() -> tf.Tensor:
        with seeds_by_replica(dropout):
            return dropout(tf.ones((64, 3)), training=True)

    one, two = strategy.experimental_local_results(strategy.run(tf.function(drop)))
    print(f"modalities: equal entries {np.mean(one == two):.2f}")


def show(
    name: str,
    strategy: tf.distribute.Strategy,
    tasks: list[mtl.Task],
    layer: Callable[[float], keras.layers.Layer],
    amount: float,
) -> None:
    """Trains for a step with equal rows on both replicas."""
    with strategy.scope():
        network = mtl.architectures.hard_sharing(keras.Input((3,)), tasks, shared=(4,))
        change = Kept(layer(amount))
        change.build((None, 3))
        hook = Consistency(change, name="steady")
        model = mtl.BalancedModel(network, tasks, mtl.balancers.Equal(), prepare=hook)
        model.compile(keras.optimizers.SGD(0.1))
    x = np.tile(np.arange(12, dtype="float32").reshape(4, 3), (2, 1))
    y = {task.name: np.ones(8, "float32") for task in tasks}
    state = change.layer.seed_generator.state
    before = state.numpy()
    model.fit(x, y, batch_size=8, shuffle=False, verbose=0)
    one, two = (part.numpy() for part in strategy.experimental_local_results(change.seen))
    seeds = [part.numpy() for part in strategy.experimental_local_results(state.value)]
    equal_seeds = np.array_equal(*seeds) and seeds[0][0] == before[0] and seeds[0][1] > before[1]
    print(f"{name}: equal entries {np.mean(one == two):.2f}, equal seeds afterwards {equal_seeds}")


if __name__ == "__main__":
    main()
