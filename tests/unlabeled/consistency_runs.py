"""Counts on two replicas how often rows at one position are changed in the same way."""

import keras
import numpy as np
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl.unlabeled import Consistency


class Kept(keras.layers.Layer):
    """Remembers in a variable on each replica what it returns."""

    def __init__(self) -> None:
        super().__init__()
        self.noise = keras.layers.GaussianNoise(1.0)

    def build(self, shape: tuple[int | None, ...]) -> None:
        self.seen = tf.Variable(
            tf.zeros((4, 3)), trainable=False, synchronization=tf.VariableSynchronization.ON_READ
        )

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        changed = self.noise(inputs, training=training)
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
        change = Kept()
        change.build((None, 3))
        hook = Consistency(change, name="steady")
        model = mtl.BalancedModel(network, tasks, balancer, prepare=hook)
        model.compile(keras.optimizers.SGD(0.1))
    x, y = np.zeros((8, 3), "float32"), {t.name: np.ones(8, "float32") for t in tasks}
    before = np.array(change.noise.seed_generator.state)
    model.fit(x, y, batch_size=8, shuffle=False, verbose=0)
    one, two = (part.numpy() for part in strategy.experimental_local_results(change.seen))
    seeds = [
        part.numpy()
        for part in strategy.experimental_local_results(change.noise.seed_generator.state.value)
    ]
    equal_seeds = np.array_equal(*seeds) and seeds[0][0] == before[0] and seeds[0][1] > before[1]
    print(f"equal entries {np.mean(one == two):.2f}, equal seeds afterwards {equal_seeds}")


if __name__ == "__main__":
    main()
