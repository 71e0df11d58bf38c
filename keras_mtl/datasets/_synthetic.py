"""Synthetic regression with two tasks of known relatedness."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from keras_mtl._tasks import Task

_NOISE = 0.01  # variance of the noise in the paper


def synthetic_regression(
    p: float,
    *,
    examples: int = 10_000,
    features: int = 100,
    scale: float = 1.0,
    sines: int = 5,
    seed: int = 0,
) -> tf.data.Dataset:
    """Makes the data of the MMoE paper: two regressions whose directions have the cosine p.

    Let u_1 and u_2 be orthogonal unit vectors of d entries, w_1 = c u_1 and
    w_2 = c (p u_1 + sqrt(1 - p^2) u_2). The inputs are x ~ N(0, I), and the labels are,
    for k = 1, 2,

        y_k = w_k . x + sum over i = 1, ..., m of sin(alpha_i w_k . x + beta_i) + epsilon_k

    with epsilon_k ~ N(0, 0.01). p is not the correlation of the labels, because the sines change
    it: `label_correlation` returns that correlation. Choose it to see how a method copes with
    tasks that are less and less related.

    Args:
        p: Cosine of the angle between w_1 and w_2, from -1 to 1.
        examples: Number of rows.
        features: d, the number of inputs, at least 2.
        scale: c, the length of w_1 and w_2. Defaults to `1.0`.
        sines: m, the number of sines. alpha_i and beta_i are drawn from N(0, 1), the same
            for both tasks.
        seed: Seed of the vectors, the sines, the inputs and the noise. The same seed with
            another number of `examples` draws from the same problem.

    Returns:
        A dataset of single examples `(x, {"first": y_1, "second": y_2})`: x is float32
        `(features,)`, and the labels are float32 scalars.

    Raises:
        ValueError: If p is not in [-1, 1] or there are fewer than 2 features.

    Example:
        >>> dataset = synthetic_regression(0.5, examples=8, features=4)
        >>> x, y = next(iter(dataset.batch(8)))
        >>> x.shape, sorted(y)
        (TensorShape([8, 4]), ['first', 'second'])

    Reference: Ma et al., "Modeling Task Relationships in Multi-task Learning with Multi-gate
    Mixture-of-Experts", section 3.2 (KDD 2018). The paper does not say how alpha and beta are
    drawn. Popular code uses 0.01 as the standard deviation of the
    noise; here, as in the paper, it is the variance.
    """
    directions, alpha, beta, rng = _draw_problem(p, features, scale, sines, seed)
    x = rng.normal(size=(examples, features))
    noise = rng.normal(scale=math.sqrt(_NOISE), size=(examples, 2))
    z = x @ directions  # (examples, 2)
    # Inside the sum: (examples, 2, sines).
    y = z + np.sin(alpha * z[..., None] + beta).sum(axis=-1) + noise
    labels = {name: y[:, k].astype(np.float32) for k, name in enumerate(("first", "second"))}
    return tf.data.Dataset.from_tensor_slices((x.astype(np.float32), labels))


def synthetic_regression_tasks() -> list[Task]:
    """Returns the two tasks of `synthetic_regression`.

    Example:
        >>> [task.name for task in synthetic_regression_tasks()]
        ['first', 'second']
    """
    return [Task.regression("first"), Task.regression("second")]


def label_correlation(
    p: float, *, features: int = 100, scale: float = 1.0, sines: int = 5, seed: int = 0
) -> float:
    """Computes the correlation of the two labels of `synthetic_regression` in closed form.

    w_1 . x and w_2 . x are normal with variance c^2 and covariance c^2 p. For such numbers, the
    mean of a product of two sines, or of a sine and a number, is known, so no data are drawn.
    Choose it to state how related the tasks of an experiment are.

    Args:
        p: Cosine of w_1 and w_2. All arguments are those of `synthetic_regression`.
        features: d, the number of inputs.
        scale: c, the length of w_1 and w_2.
        sines: m, the number of sines.
        seed: Seed of the sines.

    Returns:
        Pearson's correlation, from -1 to 1.

    Example:
        >>> abs(label_correlation(0.0)) < 1e-9, label_correlation(0.9) > 0.5
        (True, True)
    """
    _, alpha, beta, _ = _draw_problem(p, features, scale, sines, seed)
    covariance = _covariance(alpha, beta, scale**2, p)
    # The noise of the two labels is independent: it adds to their variances alone.
    return covariance / (_covariance(alpha, beta, scale**2, 1.0) + _NOISE)


def _draw_problem(
    p: float, features: int, scale: float, sines: int, seed: int
) -> tuple[npt.NDArray[np.float64], Any, Any, np.random.Generator]:
    """Draws [w_1, w_2] `(features, 2)`, alpha and beta; returns the generator for the data too."""
    if not -1 <= p <= 1:
        raise ValueError(f"p is a cosine, -1 to 1; received {p}.")
    if features < 2:
        raise ValueError(f"two directions need at least 2 features; received {features}.")
    rng = np.random.default_rng(seed)
    units = np.linalg.qr(rng.normal(size=(features, 2)))[0]
    directions = scale * units @ np.array([[1.0, p], [0.0, math.sqrt(1 - p**2)]])
    return directions, rng.normal(size=sines), rng.normal(size=sines), rng


def _covariance(alpha: Any, beta: Any, variance: float, p: float) -> float:
    """Computes the covariance of g(z_1) and g(z_2), where g(z) = z + sum_i sin(alpha_i z + beta_i).

    z_1 and z_2 are normal with mean 0, variance v and covariance v p, so that

        E[z_1 sin(alpha z_2 + beta)] = alpha v p cos(beta) exp(-alpha^2 v / 2)
        E[sin(a z_1 + b) sin(alpha z_2 + beta)]
            = (exp(-(a^2 + alpha^2 - 2 p a alpha) v / 2) cos(b - beta)
               - exp(-(a^2 + alpha^2 + 2 p a alpha) v / 2) cos(b + beta)) / 2
        E[sin(alpha z + beta)] = sin(beta) exp(-alpha^2 v / 2)
    """
    damped = np.exp(-(alpha**2) * variance / 2)
    crossed = 2 * np.sum(alpha * variance * p * np.cos(beta) * damped)
    a, b = alpha[:, None], beta[:, None]  # (sines, 1), so that all pairs are (sines, sines)
    minus = np.exp(-(a**2 + alpha**2 - 2 * p * a * alpha) * variance / 2) * np.cos(b - beta)
    plus = np.exp(-(a**2 + alpha**2 + 2 * p * a * alpha) * variance / 2) * np.cos(b + beta)
    means = np.sum(np.sin(beta) * damped) ** 2
    return float(variance * p + crossed + np.sum(minus - plus) / 2 - means)
