import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import special

from keras_mtl._tasks import TaskLoss
from keras_mtl.layers import CounterfactualRisk

RNG = np.random.default_rng(0)
STAGES = np.array([0, 1, 2, 0, 1, 2, 0, 0], "float32")
LOGITS = RNG.normal(size=(8, 3)).astype("float32")


def error(converted, logit):
    p = special.expit(logit)
    return np.where(converted, -np.log(p), -np.log1p(-p))


def reference(estimator, clip, stages, logits):
    """Computes the paper's sums in float64, from probabilities."""
    logits = logits.astype("float64")
    clicked = stages >= 1
    delta = error(stages == 2, logits[:, 0])
    propensity = np.maximum(special.expit(logits[:, 1]), clip)
    if estimator == "ips":
        return np.where(clicked, delta / propensity, 0.0)
    deviation = delta - logits[:, 2]
    return logits[:, 2] + np.where(clicked, (deviation + deviation**2) / propensity, 0.0)


@pytest.mark.parametrize("clip", [0.01, 0.5, 1.0])
@pytest.mark.parametrize("estimator", ["ips", "dr"])
def test_it_equals_the_papers_sums(estimator, clip):
    risk = CounterfactualRisk(estimator, clip)
    logits = LOGITS[:, : risk.width]
    expected = reference(estimator, clip, STAGES, logits)
    np.testing.assert_allclose(risk.call(STAGES, logits), expected, rtol=1e-5)
    np.testing.assert_allclose(risk.call(STAGES[:, None], logits), expected, rtol=1e-5)
    assert risk.call(STAGES, logits).shape == (8,)


def expectation(risk, propensity, converted, logits):
    """Computes the mean of the risk over all combinations of clicks on the impressions."""
    total = 0.0
    for clicks in itertools.product([0, 1], repeat=len(converted)):
        clicks = np.array(clicks)
        probability = np.prod(np.where(clicks, propensity, 1 - propensity))
        stages = (clicks * (1 + converted)).astype("float32")
        total += probability * np.mean(risk.call(stages, logits))
    return total


@pytest.mark.parametrize(
    ("estimator", "right"), [("ips", "propensity"), ("dr", "propensity"), ("dr", "error")]
)
def test_clicked_impressions_give_the_risk_on_all_impressions(estimator, right):
    """Checks that there is no bias if the propensity is right, or (doubly robust) the error."""
    converted, propensity = np.array([0, 1, 1, 0]), np.array([0.3, 0.6, 0.9, 0.5])
    logits = LOGITS[:4].astype("float32")
    truth = error(converted, logits[:, 0].astype("float64"))
    if right == "propensity":
        logits[:, 1] = special.logit(propensity)
    else:
        logits[:, 2] = truth
    risk = CounterfactualRisk(estimator, clip=1e-3)
    result = expectation(risk, propensity, converted, logits[:, : risk.width])
    if estimator == "dr":  # without the term that trains the imputed error
        result -= np.mean((truth - logits[:, 2]) ** 2)
    assert result == pytest.approx(truth.mean(), rel=1e-5)
    naive = np.sum(propensity * truth) / np.sum(propensity)  # the mean over clicks
    assert naive != pytest.approx(truth.mean(), rel=0.02)


def test_the_mean_is_over_all_impressions_and_not_over_clicks():
    risk = CounterfactualRisk("ips", clip=1.0)
    value = TaskLoss(risk)(STAGES, LOGITS[:, :2])
    assert float(value) == pytest.approx(reference("ips", 1.0, STAGES, LOGITS).sum() / 8, rel=1e-5)


@pytest.mark.parametrize("estimator", ["ips", "dr"])
def test_no_gradient_passes_to_the_click(estimator):
    logits = tf.constant(LOGITS[:, : CounterfactualRisk(estimator).width])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = tf.reduce_sum(CounterfactualRisk(estimator).call(STAGES, logits))
    gradient = np.asarray(tape.gradient(value, logits))
    assert not gradient[:, 1].any()
    assert not gradient[STAGES == 0, 0].any() and gradient[STAGES > 0, 0].all()


def test_extreme_logits_stay_finite():
    logits = tf.constant([[1e4, -1e4, 0.0], [-1e4, -1e4, 0.0]])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = CounterfactualRisk("ips").call(tf.constant([1.0, 2.0]), logits[:, :2])
    np.testing.assert_allclose(value, [1e5, 1e5], rtol=1e-5)
    assert np.isfinite(tape.gradient(value, logits)).all()


def test_it_reloads_with_its_arguments():
    config = keras.saving.serialize_keras_object(CounterfactualRisk("ips", 0.2, name="risk"))
    again = keras.saving.deserialize_keras_object(config)
    assert (again.estimator, again.clip, again.name) == ("ips", 0.2, "risk")


def test_a_wrong_estimator_clip_or_prediction_is_refused():
    with pytest.raises(ValueError, match=r"one of \['ips', 'dr'\]; received 'snips'"):
        CounterfactualRisk("snips")
    for clip in (0.0, -1.0, 1.5):
        with pytest.raises(ValueError, match=r"clip must be in \(0, 1\]"):
            CounterfactualRisk("ips", clip)
    with pytest.raises(ValueError, match=r"'dr' needs predictions \(batch, 3\)"):
        CounterfactualRisk("dr").call(STAGES, LOGITS[:, :2])
