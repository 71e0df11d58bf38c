"""The noise scale and the curvature along a step, beside simulated gradients and a quadratic."""

import numpy as np
import pytest

from keras_mtl.analysis import noise_scale, step_curvature


def test_golden_value_of_the_noise_scale():
    result = noise_scale(2.0, 1.25, small_rows=64, large_rows=256)
    assert result.squared_gradients.tolist() == [1]
    assert result.noise.tolist() == [64]
    assert result.scales.tolist() == [64]


def test_the_scale_of_simulated_rows_is_that_of_their_covariance():
    draws = np.random.default_rng(0)
    gradients = np.array([[1.0, 0.5, 0.0], [0.1, 0.0, 0.2]])
    spread = np.array([2.0, 3.0])
    rows = gradients[:, None, None] + spread[:, None, None, None] * draws.normal(
        size=(2, 3000, 32, 3)
    )
    small = np.sum(rows[:, :, :8].mean(axis=2) ** 2, axis=-1).T
    large = np.sum(rows.mean(axis=2) ** 2, axis=-1).T
    result = noise_scale(small, large, small_rows=8, large_rows=32, tasks=["b", "a"])
    np.testing.assert_allclose(result.noise, 3 * spread**2, rtol=0.1)
    np.testing.assert_allclose(result.squared_gradients[0], np.sum(gradients[0] ** 2), rtol=0.1)
    assert result.tasks == ("b", "a")


def test_each_task_counts_its_labeled_rows_and_its_steps():
    small = [[2.0, 4.0], [2.0, np.nan], [2.0, 2.0]]
    large = [[1.25, 3.0], [1.25, np.nan], [1.25, 1.0]]
    result = noise_scale(small, large, small_rows=[64, 8], large_rows=[256, 16])
    second = noise_scale([3.0], [2.0], small_rows=8, large_rows=16)
    np.testing.assert_allclose(result.scales, [64, *second.scales])


def test_a_gradient_below_its_noise_has_no_scale():
    result = noise_scale([4.0, np.nan], [0.5, np.nan], small_rows=1, large_rows=2)
    assert result.squared_gradients[0] == -3
    assert np.isnan(result.scales).all()
    assert "-" in str(result)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"small": [1, 2], "large": [1]}, r"small has shape \(2,\) and large \(1,\)"),
        ({"small_rows": 256, "large_rows": 64}, "task '0': small_rows is 256 and large_rows 64"),
        ({"small_rows": 0}, "expected\n? ?0 < small_rows < large_rows"),
        ({"large_rows": [3, 4]}, r"large_rows has shape \(2,\); expected one number, or 1"),
    ],
)
def test_batches_that_do_not_fit_are_refused(arguments, message):
    defaults = {"small": [1.0], "large": [0.5], "small_rows": 2, "large_rows": 4}
    with pytest.raises(ValueError, match=message):
        noise_scale(**{**defaults, **arguments})


def test_golden_value_of_the_curvature():
    hessian, gradient, rate = np.diag([4, 4.5]), np.array([8, 6.5]), 0.1
    start = np.linalg.solve(hessian, gradient)  # of the loss x'Hx / 2
    step = -rate * gradient
    losses = [place @ hessian @ place / 2 for place in (start, start + step)]
    result = step_curvature([losses[0]], [losses[1]], [gradient @ step])
    assert gradient @ hessian @ gradient == 446.125
    assert result == pytest.approx([4.46125])


def test_a_linear_loss_has_no_curvature_and_an_absent_task_none():
    result = step_curvature([1.0, np.nan], [0.25, 1.0], [-0.75, 1.0])
    np.testing.assert_array_equal(result, [0, np.nan])


def test_losses_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match=r"losses_before has shape \(1,\), losses_after \(2,\)"):
        step_curvature([1.0], [1.0, 2.0], [1.0])
