"""The base of all balancers: arguments by task, state, and simple properties of a few rules."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl.balancers import MGDA, CAGrad, Fixed, GradDrop, LossBalancer, PCGrad


@pytest.mark.parametrize(
    ("names", "match"),
    [
        (None, "no names are known"),
        (["a", "b", "c"], r"missing: \['c'\], unknown: \[\]"),
        (["a", "x"], r"missing: \['x'\], unknown: \['b'\]"),
    ],
)
def test_a_dict_by_task_must_have_exactly_the_tasks(names, match):
    balancer = Fixed({"a": 1.0, "b": 2.0}, name="known")
    if names:
        balancer.bind(names)
    with pytest.raises(ValueError, match=match) as error:
        balancer.build(2)
    assert "known" in str(error.value)


def test_a_sequence_must_have_one_number_per_task():
    with pytest.raises(ValueError, match="2 numbers for 3 tasks"):
        Fixed([1.0, 2.0]).build(3)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: MGDA().weigh(np.eye(2), np.ones(3)), r"with 3 losses.*\[K, K\].*\(2, 2\)"),
        (lambda: MGDA().weigh(np.ones((3, 2)), np.ones(3)), r"\(3, 2\)"),
        (lambda: GradDrop().merge(np.ones((2, 5)), np.ones(3)), r"\[K, n\].*\(2, 5\)"),
        (lambda: Fixed([1.0]).scalarize(np.ones((1, 1))), r"losses must be \[K\]"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(call, match):
    with pytest.raises(ValueError, match=match):
        call()


def test_a_balancer_stays_with_its_number_of_tasks():
    balancer = PCGrad()
    balancer.weigh(np.eye(2), np.ones(2))
    with pytest.raises(ValueError, match="expects 2 losses; received 3"):
        balancer.weigh(np.eye(3), np.ones(3))
    with (
        balancer.on_tasks(tf.constant([1])),
        pytest.raises(ValueError, match="expects 1 losses; received 2"),
    ):
        balancer.weigh(np.eye(2), np.ones(2))


def test_some_tasks_cannot_be_chosen_before_all_are_known():
    with (
        pytest.raises(ValueError, match=r"call build\(num_tasks\) before on_tasks"),
        PCGrad().on_tasks(tf.constant([0])),
    ):
        balancer = PCGrad()
        with balancer.on_tasks(tf.constant([0])):
            balancer.weigh(np.eye(1), np.ones(1))


class PairMemory(LossBalancer):
    """Keeps one number for each pair of tasks."""

    def build(self, num_tasks):
        super().build(num_tasks)
        self.pairs = self.add_state("pairs", (num_tasks, num_tasks), task_axes=2)

    def scalarize(self, losses):
        self.pairs.assign(self.pairs.value + losses[:, None] * losses[None])
        return tf.reduce_sum(losses)


def test_state_of_pairs_is_written_for_the_active_pairs():
    balancer = PairMemory()
    balancer.build(3)
    with balancer.on_tasks(tf.constant([2, 0])) as updates:
        balancer.scalarize([2.0, 3.0])
    expected = [[9, 0, 6], [0, 0, 0], [6, 0, 4]]
    np.testing.assert_array_equal(updates[balancer.pairs.variable.path], expected)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: MGDA(normalization="l1"), "normalization must be one of"),
        (lambda: CAGrad(c=-0.1), "c must be a finite number"),
        (lambda: PCGrad(seed=-1), "seed must be a whole number"),
        (lambda: GradDrop(seed=0.5), "seed must be a whole number"),
        (lambda: GradDrop(leak=[0.0, 1.5]), "leak of task 1 .* from 0 to 1"),
    ],
)
def test_bad_arguments_are_refused_when_a_gradient_rule_is_made(make, match):
    with pytest.raises(ValueError, match=match):
        make()


@pytest.mark.parametrize("balancer", [MGDA(), PCGrad(), CAGrad(), CAGrad(c=0.0)])
def test_a_gramian_that_is_not_finite_gives_weights_that_are_not(balancer):
    gramian = np.array([[1.0, 0.2, np.nan], [0.2, 1.0, 0.0], [np.nan, 0.0, 1.0]])
    assert np.isnan(balancer.weigh(gramian, np.ones(3))).all()


def test_degenerate_gradients_are_weighed_as_documented():
    zero, one_zero = np.zeros((3, 3)), np.diag([1.0, 0.0, 4.0])
    equal, losses = np.ones((3, 3)), np.ones(3)
    np.testing.assert_allclose(MGDA().weigh(zero, losses), np.ones(3) / 3)
    np.testing.assert_allclose(MGDA().weigh(one_zero, losses), [0, 1, 0])
    np.testing.assert_allclose(MGDA().weigh(equal, losses), np.ones(3) / 3, rtol=1e-5)
    np.testing.assert_allclose(PCGrad().weigh(one_zero, losses), np.ones(3))
    np.testing.assert_allclose(CAGrad().weigh(zero, losses), np.ones(3) / 3)
    weights = CAGrad().weigh(one_zero, losses).numpy()
    np.testing.assert_allclose(weights[1], 1 / 3, rtol=1e-6)
    np.testing.assert_allclose(CAGrad(c=0.5).weigh(equal, losses), np.full(3, 0.5), rtol=1e-4)


def test_graddrop_keeps_a_sign_as_often_as_its_purity_says():
    gradients = np.array([[3.0], [-1.0]]) * np.ones((1, 20000))
    direction = GradDrop().merge(gradients, np.ones(2)).numpy()
    assert set(np.unique(direction)) == {-1.0, 3.0}
    # p = (1 + 2 / 4) / 2 = 0.75, with a standard error of 0.003.
    assert abs((direction > 0).mean() - 0.75) < 0.015


def test_graddrop_leaks_the_part_that_is_asked_for():
    gradients = np.array([[3.0, 3.0], [-1.0, -1.0]]) * np.ones((2, 1))
    np.testing.assert_allclose(GradDrop(leak=1.0).merge(gradients, np.ones(2)), [2, 2])
    direction = GradDrop(leak=[0.0, 0.5]).merge(np.tile(gradients, 50), np.ones(2)).numpy()
    assert set(np.unique(direction)) == {-1.0, 2.5}


def test_graddrop_draws_anew_at_each_step_and_by_its_seed():
    gradients = np.array([[1.0], [-1.0]]) * np.ones((1, 64))
    first, same_seed, other_seed = GradDrop(seed=1), GradDrop(seed=1), GradDrop(seed=2)
    draws = [b.merge(gradients, np.ones(2)).numpy() for b in (first, first, same_seed, other_seed)]
    np.testing.assert_array_equal(draws[0], draws[2])
    assert (draws[0] != draws[1]).any() and (draws[0] != draws[3]).any()


@pytest.mark.parametrize(
    ("needs", "message"),
    [
        ({"samples": 0}, "samples must be at least 1 .* received samples=0, inner_steps=0"),
        ({"inner_steps": 2}, "inner_steps=2 are taken to compare two batches; add second_batch"),
        ({"second_batch": True, "samples": 3}, "Declare one of the two"),
    ],
)
def test_needs_that_exclude_each_other_are_refused_when_they_are_declared(needs, message):
    with pytest.raises(ValueError, match=message):
        mtl.balancers.Needs(**needs)


def test_needs_cannot_be_changed_after_they_are_declared():
    with pytest.raises(dataclasses.FrozenInstanceError):
        mtl.balancers.FAMO.needs.losses_after = False


def test_every_rule_declares_its_needs_and_nothing_beside_them():
    for name in mtl.balancers.__all__:
        rule = getattr(mtl.balancers, name)
        if rule is not mtl.balancers.Needs:
            assert isinstance(rule.needs, mtl.balancers.Needs), name
            assert not [attribute for attribute in dir(rule) if attribute.startswith("needs_")]
