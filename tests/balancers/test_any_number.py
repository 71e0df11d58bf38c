"""A rule need not know how many tasks take part when its graph is traced."""

import numpy as np
import pytest
import tensorflow as tf
from test_laws import VARIANTS, built, of_gradients, random_jacobian, result_of

# Tracing takes seconds: the everyday run has one balancer for each kind of computation.
EVERYDAY = ("MGDA", "Krum", "TrimmedMean")
NUM_TASKS = 40


@pytest.mark.parametrize(
    "name", [n if n in EVERYDAY else pytest.param(n, marks=pytest.mark.slow) for n in of_gradients]
)
def test_a_graph_for_any_number_of_tasks_gives_what_one_for_that_number_gives(name):
    jacobian = tf.constant(random_jacobian(NUM_TASKS), "float32")
    losses = tf.range(1.0, NUM_TASKS + 1)
    balancer = built(VARIANTS[name], range(NUM_TASKS))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32)])
    def rule(indices):
        with balancer.on_tasks(indices):
            return result_of(balancer, tf.gather(jacobian, indices), tf.gather(losses, indices))

    for tasks in ([30, 3, 0, 7, 11], [0, 9, 4, 2], [8, 0], [0]):
        alone = built(VARIANTS[name], tasks)
        expected = result_of(alone, tf.gather(jacobian, tasks), tf.gather(losses, tasks))
        result = rule(np.array(tasks, "int32"))
        np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)
