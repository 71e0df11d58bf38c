"""A trial is stopped if every task is worse than usual, and kept if one task shines."""

import math

import pytest
from small_front import search_known
from small_search import TASKS

import keras_mtl as mtl
from keras_mtl.tuning._fronts._aims import make_aims
from keras_mtl.tuning._fronts._poor_trials import goals_by_task, is_poor
from keras_mtl.tuning._objectives import get_goals

Z, A, _ = TASKS
ACCURACY = mtl.monitor(A, "accuracy")
OBJECTIVE = [mtl.monitor(Z, "mae"), ACCURACY]


def logs(error, accuracy):
    """Returns the logs of an epoch."""
    return {"val_z_mae": error, "val_a_accuracy": accuracy}


FINISHED = [[logs(error, 0.5 + error / 10)] * 5 for error in (1.0, 2.0, 3.0, 4.0, 5.0)]
MEDIAN = logs(3.0, 0.8)
WORSE = logs(3.5, 0.7)


def decide(curve, finished=FINISHED, objective=OBJECTIVE, baselines=None):
    """Returns whether a trial of two tasks is poor."""
    goals = get_goals(objective, TASKS[:2], baselines)
    aims = make_aims(goals, TASKS[:2], baselines, 0.0)
    return is_poor(curve, finished, goals_by_task(TASKS[:2], aims))


@pytest.mark.parametrize(
    ("curve", "poor"),
    [
        ([WORSE] * 3, True),
        ([WORSE] * 4, True),
        ([MEDIAN, WORSE, WORSE], True),
        ([WORSE] * 2, False),  # The first epoch does not count.
        ([WORSE, MEDIAN, WORSE], False),  # not in a row
        ([WORSE, WORSE, MEDIAN], False),
        ([MEDIAN] * 3, False),  # as good as the median
        ([logs(3.5, 0.9)] * 3, False),  # Accuracy shines, and is better high.
        ([logs(1.5, 0.0)] * 3, False),  # The error shines, and is better low.
        ([logs(99.0, 0.81)] * 3, False),
        ([logs(math.nan, 0.7)] * 3, True),  # A NaN is never better.
        ([logs(math.nan, 0.9)] * 3, False),
        ([{"val_a_accuracy": 0.7}] * 3, False),  # Nothing is known of a task.
    ],
)
def test_every_task_must_be_worse_than_the_median_twice_in_a_row(curve, poor):
    assert decide(curve) == poor


def test_five_trials_must_have_finished_and_reached_the_epoch():
    assert not decide([WORSE] * 3, FINISHED[:4])
    short = [*FINISHED[:4], FINISHED[4][:2]]
    assert not decide([WORSE] * 3, short)
    unknown = [*FINISHED[:4], [logs(math.nan, math.nan)] * 5]
    assert not decide([WORSE] * 3, unknown)


def test_tasks_are_compared_by_their_gains_objectives_or_first_metrics():
    # Objectives that say nothing of a task: its first metric counts.
    assert decide([WORSE] * 3, objective=[ACCURACY])
    assert not decide([logs(1.5, 0.0)] * 3, objective=[ACCURACY])
    # With baselines, the gain of each task.
    baselines = {"z": 2.0, "a": 0.5}
    assert decide([WORSE] * 3, objective=["worst_task_gain"], baselines=baselines)
    assert not decide([logs(3.5, 0.9)] * 3, objective=["worst_task_gain"], baselines=baselines)


def metrics(drawn, epoch):
    """Returns errors that grow with x0, except that the error of m shines at large x0."""
    return {"val_z_mae": drawn["x0"], "val_m_mae": 0.0 if drawn["x0"] > 0.8 else drawn["x0"]}


def test_a_poor_trial_is_stopped_and_its_epochs_are_counted():
    result = search_known(metrics, stop_poor_trials=True, max_trials=10, epochs=4, seed=1)
    stopped = [trial for trial in result.trials if trial.state == "stopped"]
    assert stopped and min(trial.number for trial in stopped) >= 5
    for trial in result.trials:
        x = trial.hyperparameters["x0"]
        if trial.state == "stopped":
            assert x <= 0.8 and trial.epochs == 3 and trial.values == {}
            earlier = [
                other.hyperparameters["x0"]
                for other in result.trials[: trial.number]
                if other.state == "complete"
            ]
            errors = sorted(metrics({"x0": value}, 0)["val_m_mae"] for value in earlier)
            assert len(earlier) >= 5 and x > errors[len(errors) // 2 - 1]
        else:
            assert trial.epochs == 4
    assert result.epochs == 4 * 10 - len(stopped)
    assert not {trial.number for trial in stopped} & {point.number for point in result.front}
