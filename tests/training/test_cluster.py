"""Who trains together: what the environment says, how workers meet, and that they train as one."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import keras_mtl as mtl
from keras_mtl import launch
from keras_mtl.training._cluster._description import Description, read_description
from keras_mtl.training._cluster._rendezvous import meet

SCRIPT = pathlib.Path(__file__).with_name("cluster_run.py")
WORKERS = ("a:1", "b:2", "c:3")


def tf_config(kind="worker", index=1, **cluster):
    cluster = cluster or {"worker": list(WORKERS)}
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})}


KUBERNETES = {
    "JOB_COMPLETION_INDEX": "2",
    "HOSTNAME": "train-2",
    "KERAS_MTL_WORKERS": "3",
    "KERAS_MTL_SERVICE": "nodes",
}
SLURM = {
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_STEP_NODELIST": "n[1-2]",
    "SLURM_STEP_TASKS_PER_NODE": "2(x2)",
    "SLURM_PROCID": "3",
}


@pytest.mark.parametrize(
    ("environment", "workers", "index", "source"),
    [
        ({}, ("127.0.0.1:0",), 0, "one process"),
        ({"TF_CONFIG": "  "}, ("127.0.0.1:0",), 0, "one process"),
        ({"TF_CONFIG": "{}"}, ("127.0.0.1:0",), 0, "one process"),
        (tf_config(), WORKERS, 1, "TF_CONFIG"),
        (tf_config(chief=["h:9"], worker=["a:1", "b:2"]), ("h:9", "a:1", "b:2"), 2, "TF_CONFIG"),
        (tf_config("chief", 0, chief=["h:9"], worker=["a:1"]), ("h:9", "a:1"), 0, "TF_CONFIG"),
        (
            KUBERNETES,
            ("train-0.nodes:2222", "train-1.nodes:2222", "train-2.nodes:2222"),
            2,
            "Kubernetes",
        ),
        ({**KUBERNETES, **tf_config()}, WORKERS, 1, "TF_CONFIG"),
        ({**tf_config(), "KERAS_MTL_ENGINE": "Ray Train"}, WORKERS, 1, "Ray Train"),
        ({"SLURM_STEP_NUM_TASKS": "1"}, ("127.0.0.1:0",), 0, "one process"),
    ],
)
def test_the_environment_says_who_trains(environment, workers, index, source):
    assert read_description(environment) == Description(workers, index, source)


def test_slurm_says_who_trains(monkeypatch):
    for name, value in SLURM.items():
        monkeypatch.setenv(name, value)
    expected = ("n1:8888", "n1:8889", "n2:8888", "n2:8889")
    assert read_description(SLURM) == Description(expected, 3, "Slurm")


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"TF_CONFIG": "{"}, "TF_CONFIG is no JSON"),
        ({"TF_CONFIG": "[1]"}, "is no object with a 'cluster'"),
        (tf_config(ps=["a:1"], worker=["b:2"]), r"has the jobs \['ps'\]"),
        (tf_config(worker=["a:1", "a:1"]), "names an address twice"),
        (tf_config(worker=["http://a:1", "b:2"]), "expected a list of 'host:port'"),
        (tf_config(worker="a:1"), "expected a list of 'host:port'"),
        (tf_config(index=3), "has the task {'type': 'worker', 'index': 3}"),
        (tf_config("chief", 0), "expected a 'type' of the cluster"),
        (tf_config(index="1"), "has the task"),
        ({**KUBERNETES, "KERAS_MTL_SERVICE": ""}, r"\['KERAS_MTL_SERVICE'\] are not set"),
        ({**KUBERNETES, "JOB_COMPLETION_INDEX": "3"}, "an index below the number of workers"),
        ({**KUBERNETES, "HOSTNAME": "other"}, "HOSTNAME is 'other'"),
        ({"SLURM_STEP_NUM_TASKS": "4"}, "Slurm has started 4 tasks"),
    ],
)
def test_what_does_not_fit_is_refused(environment, message):
    with pytest.raises(ValueError, match=message):
        read_description(environment)


def free_workers(count):
    return tuple(f"127.0.0.1:{port}" for port in launch._free_ports(count))


def meet_all(workers, facts, timeout=20.0, started=None):
    """Lets workers meet in threads; returns what each of them raised, or `None`."""
    outcomes = [None] * len(workers)

    def one(index):
        try:
            meet(Description(workers, index, "TF_CONFIG"), facts[index], timeout)
        except Exception as error:
            outcomes[index] = error

    threads = [threading.Thread(target=one, args=(i,)) for i in started or range(len(workers))]
    for thread in threads:
        thread.start()
        time.sleep(0.05)  # they come one after the other
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    return outcomes


def test_workers_that_agree_go_on_and_leave_their_ports():
    workers = free_workers(4)
    assert meet_all(workers, [{"script": "s"}] * 4) == [None] * 4
    for address in workers:
        with socket.create_server(("", int(address.rpartition(":")[2]))):
            pass


def test_another_script_is_named_by_every_worker():
    workers = free_workers(3)
    errors = meet_all(workers, [{"script": "s"}, {"script": "t"}, {"script": "s"}])
    assert all(isinstance(error, ValueError) for error in errors), errors
    assert all("script: " in str(error) and "differ" in str(error) for error in errors)


def test_a_worker_that_does_not_come_is_named_by_all_others():
    workers = free_workers(3)
    start = time.monotonic()
    errors = meet_all(workers, [{}] * 3, timeout=1.0, started=[0, 2])
    assert time.monotonic() - start < 20
    assert errors[1] is None and all(isinstance(errors[i], TimeoutError) for i in (0, 2))
    assert all(f"the worker at {workers[1]} has not appeared" in str(errors[i]) for i in (0, 2))


def test_a_port_of_another_program_is_refused():
    with socket.create_server(("", 0)) as other:
        workers = (f"127.0.0.1:{other.getsockname()[1]}", *free_workers(1))
        with pytest.raises(OSError, match="another program has this port"):
            meet(Description(workers, 0, "TF_CONFIG"), {}, 1.0)


def test_what_is_no_worker_is_named_or_passed_over():
    workers = free_workers(2)
    with socket.create_server(("", int(workers[1].rpartition(":")[2]))) as other:

        def speak():
            connection, _ = other.accept()
            with connection:
                connection.recv(100)
                connection.sendall(b"220 ready\n")

        thread = threading.Thread(target=speak)
        thread.start()
        with pytest.raises(ValueError, match="the address of worker 1, another program answers"):
            meet(Description(workers, 0, "TF_CONFIG"), {}, 0.5)
        thread.join(5)
    outcome = []
    arguments = Description(workers, 0, "TF_CONFIG"), {}, 20.0
    waiting = threading.Thread(target=lambda: outcome.append(meet(*arguments)))
    waiting.start()
    for line in (b"", b"GET / HTTP/1.0\n", b"[]\n", b'{"index": [1]}\n'):
        address = ("127.0.0.1", int(workers[0].rpartition(":")[2]))
        with connect(address) as connection:
            connection.sendall(line)
    meet(Description(workers, 1, "TF_CONFIG"), {}, 20.0)
    waiting.join(30)
    assert outcome == [None]


def connect(address):
    for _ in range(100):
        try:
            return socket.create_connection(address, timeout=5)
        except OSError:
            time.sleep(0.05)
    raise TimeoutError


def test_one_process_is_a_cluster_of_its_own(monkeypatch):
    cluster = mtl.training.cluster()
    assert (len(cluster), cluster.index, cluster.is_chief) == (1, 0, True)
    assert cluster is mtl.training.cluster()
    monkeypatch.setenv("TF_CONFIG", tf_config()["TF_CONFIG"])
    with pytest.raises(RuntimeError, match="A process joins one cluster"):
        mtl.training.cluster()


def start(folder, *arguments, workers=2, seconds=200):
    command = [sys.executable, "-m", "keras_mtl.launch", "--workers", str(workers)]
    command += ["--seconds", str(seconds), *map(str, arguments)]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=seconds + 60
    )


PRINTS = """
import json, os, sys, time
task = json.loads(os.environ["TF_CONFIG"])["task"]
print("here", sys.argv[1:], flush=True)
if task["index"] == int(sys.argv[1]):
    print("\\n" * 200 + "the reason", flush=True)
    sys.exit(7)
time.sleep(float(sys.argv[2]))
"""


def test_the_command_starts_workers_and_ends_all_if_one_fails(tmp_path):
    (tmp_path / "prints.py").write_text(PRINTS)
    done = start(tmp_path, "prints.py", -1, 0, "--flag")
    assert done.returncode == 0, done.stdout + done.stderr
    for index in range(2):
        assert f"[worker {index}] here ['-1', '0', '--flag']" in done.stdout.splitlines()
    begin = time.monotonic()
    failed = start(tmp_path, "prints.py", 1, 600)
    assert failed.returncode == 7 and time.monotonic() - begin < 60
    assert "[launch] worker 1 ended with status 7" in failed.stdout
    assert "[worker 1] the reason" in failed.stdout


def test_the_command_starts_again_and_stops_in_time(tmp_path):
    (tmp_path / "prints.py").write_text(PRINTS)
    again = start(tmp_path, "--restarts", 2, "prints.py", 0, 600)
    assert again.returncode == 7
    assert again.stdout.count("[launch] worker 0 ended with status 7") == 3
    late = start(tmp_path, "--restarts", 2, "prints.py", -1, 600, seconds=2)
    assert late.returncode == 124 and late.stdout.count("[launch] stopped after 2 s") == 1


def test_an_interrupted_command_leaves_no_worker(tmp_path):
    (tmp_path / "prints.py").write_text(PRINTS.replace('"here"', '"pid", os.getpid()'))
    command = [sys.executable, "-m", "keras_mtl.launch", "--workers", "2", "prints.py", "-1", "600"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        workers = [int(process.stdout.readline().split("pid ")[1].split()[0]) for _ in range(2)]
        process.terminate()
        assert process.wait(60) == 130
    for worker in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(worker, 0)


def test_a_killed_command_leaves_no_worker_and_nothing_that_it_has_started(tmp_path):
    child = 'import subprocess; print("pid", subprocess.Popen(["sleep", "600"]).pid, flush=True)'
    text = PRINTS.replace('"here"', '"pid", os.getpid()').replace("if task", f"{child}\nif task")
    (tmp_path / "prints.py").write_text(text)
    command = [sys.executable, "-m", "keras_mtl.launch", "--workers", "2", "prints.py", "-1", "600"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        lines = [process.stdout.readline() for _ in range(4)]
        pids = [int(line.split("pid ")[1].split()[0]) for line in lines]
        process.kill()
        assert process.wait(60) == -signal.SIGKILL
    deadline = time.monotonic() + 30
    while any(map(is_running, pids)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [pid for pid in pids if is_running(pid)]


def is_running(pid):
    """Returns whether a process runs; one that nobody has waited for yet does not."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def test_a_script_that_is_not_there_is_refused(tmp_path):
    done = start(tmp_path, "missing.py")
    assert done.returncode != 0 and "there is no script 'missing.py'" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rule", "at", "workers"),
    [("PCGrad", "parameters", 2), ("MGDA", "representation", 2), ("PCGrad", "parameters", 4)],
)
def test_workers_of_one_machine_train_as_one_process(tmp_path, rule, at, workers):
    run = [SCRIPT, "--rule", rule, "--at", at, "--out"]
    alone = subprocess.run(
        [sys.executable, *run, tmp_path / "alone"], capture_output=True, text=True, check=False
    )
    assert alone.returncode == 0, alone.stderr
    together = start(tmp_path, *run, tmp_path / "one", workers=workers)
    assert together.returncode == 0, together.stdout
    assert together.stdout.count(f"trained {workers} TF_CONFIG") == workers
    with np.load(tmp_path / "alone_0.npz") as values:
        expected = dict(values)
    for index in range(workers):
        with np.load(tmp_path / f"one_{index}.npz") as values:
            assert int(values["workers"]) == workers
            for name in expected.keys() - {"workers"}:
                scale = max(1.0, float(abs(expected[name]).max()))
                np.testing.assert_allclose(
                    values[name], expected[name], atol=3e-6 * scale, err_msg=name
                )


@pytest.mark.slow
def test_a_strategy_after_the_first_tensor_is_refused_by_every_worker(tmp_path):
    done = start(tmp_path, SCRIPT, "--out", tmp_path / "x", "--late")
    assert done.returncode != 0
    assert "Call training.cluster() first in the script" in done.stdout


@pytest.mark.slow
def test_each_row_is_seen_by_one_worker_or_refused(tmp_path):
    refused = start(tmp_path, SCRIPT, "--out", tmp_path / "x", "--data", "off")
    assert refused.returncode != 0
    assert "every worker would read the same rows" in refused.stdout
    whole = start(tmp_path, SCRIPT, "--out", tmp_path / "whole")
    parts = start(tmp_path, SCRIPT, "--out", tmp_path / "parts", "--data", "sharded")
    assert whole.returncode == parts.returncode == 0, whole.stdout + parts.stdout
    with np.load(tmp_path / "whole_0.npz") as one, np.load(tmp_path / "parts_1.npz") as other:
        for name in one.files:
            np.testing.assert_allclose(other[name], one[name], rtol=1e-5, atol=3e-6, err_msg=name)
