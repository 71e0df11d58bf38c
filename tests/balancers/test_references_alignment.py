"""AlignedMTL against the singular value decomposition of the gradients themselves."""

import numpy as np
import pytest
import tensorflow as tf
from reference_case import combine, lengths_of, random_jacobians, relative_errors, slow, weigh_all

from keras_mtl.balancers import AlignedMTL

SCALES = {
    "min": lambda values: values[:, -1],
    "median": lambda values: values[:, values.shape[1] // 2],
    "rmse": lambda values: np.sqrt(np.mean(values**2, axis=1)),
}


def aligned(jacobians, preference, scale):
    """Returns the gradients' polar factor, as long as the scale says, combined by preference."""
    left, values, right = np.linalg.svd(jacobians, full_matrices=False)
    return SCALES[scale](values)[:, None] * combine(
        np.tile(preference, (len(left), 1)), left @ right
    )


EVERYDAY = [(2, "min"), (3, "rmse"), (5, "median"), (8, "min")]
REST = [(k, scale) for k in range(2, 9) for scale in SCALES if (k, scale) not in EVERYDAY]


@pytest.mark.parametrize(("num_tasks", "scale"), [*EVERYDAY, *slow(*REST)])
def test_aligned_gradients_are_the_polar_factor(num_tasks, scale):
    jacobians = random_jacobians(400, num_tasks, seed=num_tasks)
    preference = np.arange(1.0, num_tasks + 1)
    balancer = AlignedMTL(scale=scale, preference=preference.tolist())
    expected = aligned(jacobians, preference / preference.sum(), scale)
    errors = relative_errors(weigh_all(balancer, jacobians), jacobians, expected)
    assert errors.max() < 1e-6
    # Rounding of a float32 Gramian, whose condition is the square of the Jacobian's.
    errors = relative_errors(weigh_all(balancer, jacobians, "float32"), jacobians, expected)
    assert errors.max() < 5e-2
    assert np.quantile(errors, 0.9) < 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("num_tasks", [2, 5, 8])
@pytest.mark.parametrize("size", [8, 1000])
def test_xla_aligns_as_exactly(num_tasks, size):
    jacobians = random_jacobians(200, num_tasks, seed=num_tasks, size=size)
    preference = np.full(num_tasks, 1 / num_tasks)
    weights = weigh_all(AlignedMTL(), jacobians, jit_compile=True)
    errors = relative_errors(weights, jacobians, aligned(jacobians, preference, "min"))
    assert errors.max() < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("num_tasks", [2, 4, 8])
def test_nearly_dependent_gradients_are_aligned_too(num_tasks):
    jacobians = random_jacobians(200, num_tasks, seed=num_tasks, condition=1e6, spread=1.0)
    preference = np.full(num_tasks, 1 / num_tasks)
    expected = aligned(jacobians, preference, "min")
    errors = relative_errors(weigh_all(AlignedMTL(), jacobians), jacobians, expected)
    assert errors.max() < 1e-2
    assert np.quantile(errors, 0.9) < 1e-3


def test_each_task_alone_shows_gradients_at_right_angles_and_equally_long():
    jacobian = random_jacobians(1, 4, seed=1, spread=2.0)[0]
    shortest = np.linalg.svd(jacobian, compute_uv=False)[-1]
    preferences = 1e-6 + np.eye(4)  # as good as one task at a time
    moved = []
    for preference in preferences.tolist():
        weights = AlignedMTL(preference=preference).weigh(jacobian @ jacobian.T, np.ones(4))
        moved.append(weights.numpy() @ jacobian)
    moved = np.array(moved)
    np.testing.assert_allclose(moved @ moved.T, shortest**2 * np.eye(4), atol=1e-4 * shortest**2)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_directions_that_gradients_do_not_span_are_left_out(precision):
    rng = np.random.default_rng(0)
    jacobian = rng.normal(size=(5, 2)) @ rng.normal(size=(2, 9))
    left, values, right = np.linalg.svd(jacobian, full_matrices=False)
    expected = values[1] * np.mean(left[:, :2] @ right[:2], axis=0)
    gramian = tf.constant(jacobian @ jacobian.T, precision)
    weights = AlignedMTL().weigh(gramian, np.ones(5)).numpy()
    np.testing.assert_allclose(weights @ jacobian, expected, rtol=1e-4, atol=1e-5)


def test_equal_gradients_are_aligned_to_their_mean_share():
    jacobian = np.tile([[3.0, 4.0]], (4, 1))
    weights = AlignedMTL().weigh(tf.constant(jacobian @ jacobian.T, tf.float32), np.ones(4))
    # One singular value, 10, and its vectors: d = 10 * (1/2 each) . (1/4 each) * (0.6, 0.8).
    np.testing.assert_allclose(weights, [0.25] * 4, rtol=1e-5)


def test_a_gradient_of_zero_takes_no_part_in_alignment():
    jacobian = random_jacobians(1, 4, seed=0)[0] * [[1], [0], [1], [1]]
    rows = [0, 2, 3]
    weights = AlignedMTL().weigh(jacobian @ jacobian.T, np.ones(4)).numpy()
    alone = AlignedMTL().weigh(jacobian[rows] @ jacobian[rows].T, np.ones(3)).numpy()
    np.testing.assert_allclose(weights[rows], alone * 3 / 4, rtol=1e-6)
    np.testing.assert_allclose(weights[1], weights[rows].mean(), rtol=1e-6)
    np.testing.assert_allclose(AlignedMTL().weigh(np.zeros((4, 4)), np.ones(4)), 0.25)


@pytest.mark.parametrize("count", [2, 7, 64])
def test_a_single_direction_is_factored_in_float64_too(count):
    jacobian = np.outer(np.random.default_rng(count).normal(size=count), [3.0, 4.0, 12.0])
    weights = AlignedMTL().weigh(jacobian @ jacobian.T, np.ones(count)).numpy()
    left, values, right = np.linalg.svd(jacobian, full_matrices=False)
    expected = values[0] * np.mean(left[:, 0]) * right[0]
    np.testing.assert_allclose(weights @ jacobian, expected, rtol=1e-6)


def test_gramians_that_are_no_gramians_give_finite_weights():
    wrong = np.array([[1.0, 0.9, -0.9], [0.9, 1.0, 0.9], [-0.9, 0.9, 1.0]])  # an eigenvalue < 0
    weights = AlignedMTL().weigh(tf.constant(wrong, tf.float32), np.ones(3))
    assert np.isfinite(weights).all()


def test_alignment_refuses_scales_and_preferences_that_it_does_not_know():
    with pytest.raises(ValueError, match="scale must be one of"):
        AlignedMTL(scale="max")
    with pytest.raises(ValueError, match="preference"):
        AlignedMTL(preference=[1.0, 0.0])


def test_lengths_of_the_mean_scale_are_those_of_the_gradients():
    jacobians = random_jacobians(50, 4, seed=2)
    direction = combine(weigh_all(AlignedMTL(scale="rmse"), jacobians), jacobians)
    rms = np.sqrt(np.mean(lengths_of(jacobians) ** 2, axis=1))
    np.testing.assert_allclose(np.linalg.norm(direction, axis=1), rms / 2, rtol=1e-6)
