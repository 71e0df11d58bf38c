"""Synthetic regressions whose groups of related tasks are known."""

import dataclasses
from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from keras_mtl._tasks import Task

Array: TypeAlias = npt.NDArray[np.float64]

_HEADS = ("correlated", "independent", "opposed")
_DIRECTIONS, _FEATURES = 4, 8  # of each group
_NOISE = 0.1  # standard deviation; labels have 1
_SHARED_PART = 0.7  # of the variance of correlated heads


@dataclasses.dataclass(frozen=True)
class SyntheticGroups:
    """Holds the data of `synthetic_groups`, and the truth about its tasks.

    Args:
        tasks: The K tasks, `"task_0"` and so on, all regressions.
        groups: For each task, the number of its group. A harmful task is a group of its own.
        harmful: The names of the tasks whose labels are noise.
        train, validation, test: Datasets of single examples `(x, {task: label})`, in a fixed
            order, of known length.

    Example:
        >>> data = synthetic_groups(4, 2, rows=16)
        >>> data.names_by_group
        (('task_0', 'task_2'), ('task_1', 'task_3'))
    """

    tasks: tuple[Task, ...]
    groups: tuple[int, ...]
    harmful: tuple[str, ...]
    train: tf.data.Dataset
    validation: tf.data.Dataset
    test: tf.data.Dataset

    @property
    def names_by_group(self) -> tuple[tuple[str, ...], ...]:
        """The names of the tasks of each group."""
        return tuple(
            tuple(
                task.name
                for task, number in zip(self.tasks, self.groups, strict=True)
                if number == group
            )
            for group in range(max(self.groups) + 1)
        )


def synthetic_groups(
    num_tasks: int,
    num_groups: int,
    *,
    heads: Literal["correlated", "independent", "opposed"] = "correlated",
    rows: int | Sequence[int] = 8192,
    missing: float = 0.0,
    harmful: int = 0,
    seed: int = 0,
) -> SyntheticGroups:
    """Makes regressions in groups: tasks of one group need the same features of the inputs.

    Task k belongs to group k mod G. With inputs x ~ N(0, I), group g sees 4 directions U_g of
    the input space, orthonormal and different from those of all other groups, through 8 features

        f_g(x) = sin(A_g' U_g' x + p_g),    A_g ~ N(0, 1), p_g uniform

    scaled to mean 0 and variance 1, and the label is y_k = a_k . f_g(x), scaled likewise, plus
    noise of standard deviation 0.1. The heads a_k of one group are

        "correlated"   a_k = sqrt(0.7) c_g + sqrt(0.3) b_k: the labels are correlated
        "independent"  a_k = b_k: the features are the same, but the labels tell nothing of it
        "opposed"      "correlated" with a random sign: y and -y are one task to a trunk

    with c_g and b_k ~ N(0, I). Choose it to test whether a method finds which tasks are related,
    and whether sharing pays. `num_groups=num_tasks` makes unrelated tasks, each with directions
    and features of its own. `harmful` adds tasks that hurt the others where everything is shared:
    their labels are noise, 10 times as large. (Four tasks of one group on 4,000 rows, hard sharing
    of 64 units, test loss in three seeds: 0.54, 0.25 and 0.30 together, 0.61, 0.30 and 0.34 alone,
    0.69, 0.47 and 0.47 with two harmful tasks. On 1,000 rows, where the networks overfit, the noise
    helped in one of two seeds.) Real data have no such clear groups.

    Args:
        num_tasks: K, the number of tasks without the harmful ones, at least 1.
        num_groups: G, from 1 to K. The number of inputs is 32, or 4 G if that is more.
        heads: `"correlated"`, `"independent"` or `"opposed"`. Defaults to `"correlated"`.
        rows: The number of training rows, with a quarter as many for validation and for test; or
            all three numbers. Defaults to `8192`.
        missing: The share of labels that are missing (NaN), drawn for each task and row. Mask
            them with `data.mask_missing`. Defaults to `0`.
        harmful: The number of tasks whose labels are noise, which follow the K tasks.
        seed: Seed of all draws. With another number of rows, the problem stays the same.

    Returns:
        A `SyntheticGroups`.

    Raises:
        ValueError: If a number is out of range, or `heads` is unknown.

    Example:
        >>> data = synthetic_groups(6, 3, heads="independent", rows=64)
        >>> data.groups, len(data.train), len(data.test)
        ((0, 1, 2, 0, 1, 2), 64, 16)
        >>> x, y = next(iter(data.train.batch(64)))
        >>> x.shape, sorted(y)[:2]
        (TensorShape([64, 32]), ['task_0', 'task_1'])

    Reference: none. The features follow the sines of `synthetic_regression`; the scaling of
    features and labels is computed in closed form, so that it does not depend on the rows.
    """
    sizes = _check(num_tasks, num_groups, heads, rows, missing, harmful)
    # Inputs, noise and missing labels of each split have draws of their own, so that neither the
    # number of rows nor what is missing changes the others.
    of_problem, *of_splits = np.random.SeedSequence(seed).spawn(4)
    problem = np.random.default_rng(of_problem)
    groups = np.arange(num_tasks) % num_groups
    of_groups = _draw_groups(problem, num_groups)
    vectors = _draw_heads(problem, groups, heads)
    names = [f"task_{k}" for k in range(num_tasks + harmful)]
    splits = []
    for number, of_split in zip(sizes, of_splits, strict=True):
        of_inputs, of_noise, of_gaps = map(np.random.default_rng, of_split.spawn(3))
        x = of_inputs.normal(size=(number, max(32, _DIRECTIONS * num_groups)))
        features = [group.features(x) for group in of_groups]
        labels = [
            features[g] @ vector / of_groups[g].deviation(vector)
            for g, vector in zip(groups, vectors, strict=True)
        ]
        y = np.stack([*labels, *np.zeros((harmful, number))], axis=1)
        y += of_noise.normal(size=y.shape) * np.repeat([_NOISE, 10.0], [num_tasks, harmful])
        y[of_gaps.uniform(size=y.shape) < missing] = np.nan
        splits.append((x, y))
    return SyntheticGroups(
        tuple(Task.regression(name) for name in names),
        (*map(int, groups), *range(num_groups, num_groups + harmful)),
        tuple(names[num_tasks:]),
        *(_dataset(x, y, names) for x, y in splits),
    )


def _check(
    num_tasks: int,
    num_groups: int,
    heads: str,
    rows: int | Sequence[int],
    missing: float,
    harmful: int,
) -> tuple[int, ...]:
    """Checks the arguments; returns the numbers of rows of the three splits."""
    if not 1 <= num_groups <= num_tasks:
        raise ValueError(
            f"num_tasks is {num_tasks} and num_groups {num_groups}; expected at least one group, "
            "and at least one task per group."
        )
    if heads not in _HEADS:
        raise ValueError(f"heads is {heads!r}; expected one of {_HEADS}.")
    if not 0 <= missing < 1:
        raise ValueError(f"missing is {missing}; expected a share of labels from 0 to below 1.")
    if harmful < 0:
        raise ValueError(f"harmful is {harmful}; expected a number of tasks.")
    sizes = (rows, -(-rows // 4), -(-rows // 4)) if isinstance(rows, int) else tuple(rows)
    if len(sizes) != 3 or min(sizes) < 1:
        raise ValueError(
            f"rows is {rows}; expected the number of training rows, or the numbers of training, "
            "validation and test rows."
        )
    return sizes


def _draw_heads(rng: np.random.Generator, groups: npt.NDArray[np.int64], heads: str) -> Array:
    """Draws one vector of features per task, `[K, 8]`."""
    of_groups = rng.normal(size=(groups.max() + 1, _FEATURES))
    vectors = rng.normal(size=(len(groups), _FEATURES))
    signs = rng.choice([-1.0, 1.0], size=(len(groups), 1))
    if heads == "independent":
        return np.asarray(vectors)
    vectors = np.sqrt(_SHARED_PART) * of_groups[groups] + np.sqrt(1 - _SHARED_PART) * vectors
    return np.asarray(vectors * signs if heads == "opposed" else vectors)


@dataclasses.dataclass(frozen=True)
class _Group:
    """Holds the features of a group: sin(A'U'x + p), scaled to mean 0 and variance 1."""

    directions: Array  # U, [inputs, 4]
    mixing: Array  # A, [4, 8]
    phases: Array  # p, [8]

    def moments(self) -> tuple[Array, Array]:
        """Computes the means and covariances of the sines.

        z = A'U'x is normal with the covariance S = A'A. For such numbers

            E[sin(z_i + p_i)] = sin(p_i) exp(-S_ii / 2)
            E[sin(z_i + p_i) sin(z_j + p_j)]
                = (exp(-Var(z_i - z_j) / 2) cos(p_i - p_j)
                   - exp(-Var(z_i + z_j) / 2) cos(p_i + p_j)) / 2
        """
        covariance, phases = self.mixing.T @ self.mixing, self.phases
        variances = np.diag(covariance)
        means = np.sin(phases) * np.exp(-variances / 2)
        totals = variances[:, None] + variances[None, :]
        minus = np.exp(covariance - totals / 2) * np.cos(phases[:, None] - phases[None, :])
        plus = np.exp(-covariance - totals / 2) * np.cos(phases[:, None] + phases[None, :])
        return means, (minus - plus) / 2 - np.outer(means, means)

    def features(self, x: Array) -> Array:
        """Returns the features of inputs, `[rows, 8]`."""
        means, covariance = self.moments()
        sines = np.sin(x @ self.directions @ self.mixing + self.phases)
        return np.asarray((sines - means) / np.sqrt(np.diag(covariance)))

    def deviation(self, head: Array) -> float:
        """Returns the standard deviation of the features times a head `[8]`."""
        _, covariance = self.moments()
        scaled = head / np.sqrt(np.diag(covariance))
        return float(np.sqrt(scaled @ covariance @ scaled))


def _draw_groups(rng: np.random.Generator, num_groups: int) -> list[_Group]:
    num_inputs = max(32, _DIRECTIONS * num_groups)
    # Orthonormal over all groups, so that no two share a direction.
    directions = np.linalg.qr(rng.normal(size=(num_inputs, _DIRECTIONS * num_groups)))[0]
    mixing = rng.normal(size=(num_groups, _DIRECTIONS, _FEATURES))
    phases = rng.uniform(0, 2 * np.pi, size=(num_groups, _FEATURES))
    of_groups = np.split(directions, num_groups, axis=1)
    return [_Group(*parts) for parts in zip(of_groups, mixing, phases, strict=True)]


def _dataset(x: Array, y: Array, names: Sequence[str]) -> tf.data.Dataset:
    labels = {name: y[:, k].astype(np.float32) for k, name in enumerate(names)}
    return tf.data.Dataset.from_tensor_slices((x.astype(np.float32), labels))
