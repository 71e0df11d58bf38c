"""A search repeats itself with the same seed, and resumes from its directory."""

import keras
import numpy as np
import pytest
from small_search import TASKS, build, search

import keras_mtl as mtl


def test_the_same_seed_repeats_the_search_and_another_seed_does_not():
    first, again, other = search(seed=0), search(seed=0), search(seed=1)
    assert first.trials == again.trials
    assert first.trials[0].weights != other.trials[0].weights


@pytest.mark.slow
def test_trials_have_equal_initial_values_and_executions_of_a_trial_do_not():
    initial = []

    def recording(tasks):
        network = build(tasks)
        values = [variable.numpy().ravel() for variable in network.variables[:6]]
        initial.append(np.concatenate(values))
        return network

    search(build=recording, executions_per_trial=2)
    first, second, third, fourth = initial[-4:]
    np.testing.assert_array_equal(first, third)
    np.testing.assert_array_equal(second, fourth)
    assert not np.array_equal(first, second)


def test_the_dtype_policy_holds_in_every_trial():
    policies = []

    def recording(tasks):
        policies.append(keras.config.dtype_policy().name)
        return build(tasks)

    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        search(build=recording)
    finally:
        keras.config.set_dtype_policy("float32")
    assert set(policies) == {"mixed_bfloat16"}


class Stopped(BaseException):
    """Stops a search as a keyboard interrupt does: it is not caught as a failed trial."""


def test_a_stopped_search_resumes_where_it_stopped(tmp_path):
    fits = []

    class Count(keras.callbacks.Callback):
        def on_train_end(self, logs=None):
            fits.append(1)
            if len(fits) == 2:
                raise Stopped

    arguments = {"directory": tmp_path / "search", "max_trials": 3, "callbacks": [Count()]}
    with pytest.raises(Stopped):
        search(**arguments)
    stopped = search(**arguments)
    assert len(fits) == 1 + 1 + 2
    assert stopped.trials == search(directory=tmp_path / "straight", max_trials=3).trials
    assert search(**arguments).trials == stopped.trials
    assert len(fits) == 4


def test_a_directory_holds_one_search_only(tmp_path):
    search(directory=tmp_path, max_trials=1)
    other = mtl.monitor(TASKS[1], "accuracy")
    with pytest.raises(ValueError, match="holds another search, whose objective"):
        search(directory=tmp_path, objective=other)
    with pytest.raises(ValueError, match="holds another search, whose epochs"):
        search(directory=tmp_path, epochs=2)
    forgotten = search(directory=tmp_path, objective=other, max_trials=1, overwrite=True)
    assert len(forgotten.trials) == 1 and 0 <= forgotten.score <= 1


def test_nothing_is_written_or_printed_without_a_directory(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    search()
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr().out == ""
