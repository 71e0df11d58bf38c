"""A front is searched by several processes, resumed, and not harmed by those that are killed."""

import itertools
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import keras
import pytest
import tensorflow as tf
from small_front import TASKS, build_drawn, search_known
from small_search import rows

import keras_mtl as mtl
from keras_mtl.tuning import search
from keras_mtl.tuning._workers._datasets import pack_dataset
from keras_mtl.tuning._workers._identity import identify, is_alive


def metrics(drawn, epoch):
    """Returns two errors that contradict each other."""
    return {"val_z_mae": drawn["x0"], "val_m_mae": 1 - drawn["x0"] ** 2}


class Stopped(BaseException):
    """Stops a search as a keyboard interrupt does."""


def parameters(result):
    """Returns the parameters of all complete trials, by number."""
    complete = [trial for trial in result.trials if trial.state == "complete"]
    return [trial.hyperparameters["x0"] for trial in complete]


@pytest.mark.slow
def test_a_stopped_search_tries_the_interrupted_parameters_again(tmp_path):
    epochs = []

    def interrupted(drawn, epoch):
        epochs.append(drawn["x0"])
        if len(epochs) == 6:
            raise Stopped
        return metrics(drawn, epoch)

    straight = search_known(metrics, directory=tmp_path / "straight", max_trials=5, epochs=2)
    with pytest.raises(Stopped):
        search_known(interrupted, directory=tmp_path / "stopped", max_trials=5, epochs=2)
    result = search_known(metrics, directory=tmp_path / "stopped", max_trials=5, epochs=2)
    killed = [trial for trial in result.trials if trial.state == "killed"]
    assert [trial.number for trial in killed] == [2]
    assert (killed[0].values, killed[0].epochs) == ({}, 2)  # the second one had begun
    # The same draws as in a search that was never stopped: no repetitions, none left out.
    assert parameters(result)[:3] == parameters(straight)[:3]
    assert killed[0].hyperparameters == straight.trials[2].hyperparameters
    assert len(parameters(result)) == len(set(parameters(result))) == 5
    # Epochs of the killed trial count.
    assert result.epochs == 2 * 5 + 2 and straight.epochs == 2 * 5
    # Another call trains nothing, and has the same result.
    again = search_known(interrupted, directory=tmp_path / "stopped", max_trials=5, epochs=2)
    assert again.trials == result.trials and again.hypervolumes == result.hypervolumes
    assert len(epochs) == 6


@pytest.mark.slow
def test_a_search_that_goes_on_draws_anew_and_as_if_it_had_never_ended(tmp_path):
    arguments = {"directory": tmp_path / "parts", "tuner": "nsga2"}
    search_known(metrics, max_trials=3, **arguments)
    result = search_known(metrics, max_trials=6, **arguments)
    straight = search_known(metrics, max_trials=6, tuner="nsga2")
    assert parameters(result) == parameters(straight)
    assert len(set(parameters(result))) == 6
    assert parameters(search_known(metrics, max_trials=2, seed=9)) != parameters(straight)[:2]


def test_a_folder_of_another_search_is_refused(tmp_path):
    search_known(metrics, directory=tmp_path, max_trials=1)
    with pytest.raises(ValueError, match="holds another search, whose reference was"):
        search_known(metrics, directory=tmp_path, reference=2.0, max_trials=1)
    with pytest.raises(ValueError, match="holds another search, whose stop_poor_trials was"):
        search_known(metrics, directory=tmp_path, stop_poor_trials=True, max_trials=1)
    with pytest.raises(ValueError, match="holds another search, whose tuner was tpe"):
        search_known(metrics, directory=tmp_path, tuner="nsga2", max_trials=1)
    record = json.loads((tmp_path / "search.json").read_text())
    record["versions"]["keras"] = "3.0.0"
    (tmp_path / "search.json").write_text(json.dumps(record))
    with pytest.warns(UserWarning, match="trained with .*3.0.0"):
        search_known(metrics, directory=tmp_path, max_trials=1)
    result = search_known(metrics, directory=tmp_path, reference=2.0, max_trials=2, overwrite=True)
    assert len(result.trials) == 2


def test_a_process_is_known_by_its_start_too():
    assert is_alive(identify())
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        name = identify(child.pid)
        assert is_alive(name)
        assert not is_alive(f"{child.pid} 1")  # an earlier program with the same number
        child.kill()
        child.wait()
    assert not is_alive(name)


def test_a_dataset_reaches_another_process_or_a_function_does():
    data = rows(["z"]).shuffle(3, seed=1).repeat()
    sent = pack_dataset(data, "train").unpack()
    assert sent.element_spec == data.element_spec
    assert int(sent.cardinality()) == int(data.cardinality())
    for (x, y), (a, b) in itertools.islice(zip(data, sent, strict=True), 3):
        assert x.numpy().tolist() == a.numpy().tolist()
        assert y["z"].numpy().tolist() == b["z"].numpy().tolist()

    def generate():
        yield 1.0

    python = tf.data.Dataset.from_generator(generate, output_signature=tf.TensorSpec(()))
    with pytest.raises(
        ValueError, match=r"(?s)validation cannot be sent .*validation=lambda: \.\."
    ):
        pack_dataset(python, "validation")
    assert pack_dataset(lambda: python, "train").unpack() is python


class SlowDown(keras.callbacks.Callback):
    """Writes the metrics, the number of the process and its threads, and takes its time."""

    def __init__(self, folder, seconds):
        super().__init__()
        self.folder, self.seconds = folder, seconds

    def on_epoch_end(self, epoch, logs=None):
        logs.update(metrics(self.model.drawn, epoch))
        record = {
            "threads": tf.config.threading.get_intra_op_parallelism_threads()
            or int(os.environ["TF_NUM_INTRAOP_THREADS"]),
            "policy": keras.config.dtype_policy().name,
        }
        path = pathlib.Path(self.folder) / f"{os.getpid()}.json"
        path.write_text(json.dumps(record))
        time.sleep(self.seconds)


def search_with_workers(folder, seconds, **arguments):
    """Searches a known front with two workers."""
    names = [task.name for task in TASKS]
    return search(
        build_drawn(1),
        TASKS,
        rows(names),
        lambda: rows(names, seed=1),  # a function, as for a dataset that cannot be sent
        objective=[mtl.monitor(task, "mae") for task in TASKS],
        reference=1.1,
        callbacks=[SlowDown(str(folder), seconds)],
        directory=folder / "search",
        workers=2,
        **arguments,
    )


@pytest.mark.slow
def test_two_workers_complete_all_trials_though_one_of_them_is_killed(tmp_path):
    killed, ended = [], threading.Event()

    def kill_one():
        while not ended.wait(0.01):
            if workers := sorted(tmp_path.glob("*.json")):
                killed.append(int(workers[0].stem))
                os.kill(killed[0], signal.SIGKILL)
                return

    thread = threading.Thread(target=kill_one)
    thread.start()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        result = search_with_workers(tmp_path, 0.2, max_trials=20)
    finally:
        keras.config.set_dtype_policy("float32")
        ended.set()
        thread.join()
    states = [trial.state for trial in result.trials]
    assert states.count("complete") == 20 and states.count("killed") == 1
    assert len(set(parameters(result))) == 20
    lost = next(trial for trial in result.trials if trial.state == "killed")
    assert lost.hyperparameters["x0"] in parameters(result)
    records = [json.loads(path.read_text()) for path in tmp_path.glob("*.json")]
    assert len(records) == 3  # two workers, and the one that replaced the killed one
    cores = len(os.sched_getaffinity(0))
    assert {record["threads"] for record in records} == {max(1, cores // 2)}
    assert {record["policy"] for record in records} == {"mixed_bfloat16"}
    assert killed and not is_alive(str(killed[0]))


@pytest.mark.slow
def test_an_error_of_the_users_in_a_worker_stops_the_search(tmp_path):
    def without_output(tasks, hp):
        return build_drawn(1)(tasks[:1], hp)

    names = [task.name for task in TASKS]
    with pytest.raises(ValueError, match="without an output for task 'm'"):
        search(
            without_output,
            TASKS,
            rows(names),
            rows(names, seed=1),
            objective=[mtl.monitor(task, "mae") for task in TASKS],
            reference=1.1,
            max_trials=4,
            directory=tmp_path,
            workers=2,
        )


@pytest.mark.slow
def test_hyper_parameters_that_kill_every_worker_are_given_up(tmp_path):
    class Die(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs.update(metrics(self.model.drawn, epoch))
            if self.model.drawn["x0"] > 0.5:
                os._exit(9)

    names = [task.name for task in TASKS]
    with pytest.warns(UserWarning, match="the process ended 3 times"):
        result = search(
            build_drawn(1),
            TASKS,
            rows(names),
            rows(names, seed=1),
            objective=[mtl.monitor(task, "mae") for task in TASKS],
            reference=1.1,
            max_trials=3,
            callbacks=[Die()],
            directory=tmp_path,
            workers=2,
        )
    states = [trial.state for trial in result.trials]
    failed = states.count("failed")
    assert failed >= 1 and states.count("killed") == 3 * failed
    assert states.count("complete") == 3 - failed
