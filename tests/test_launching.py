"""The files with which schedulers start workers: their schemas and shells read them."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from keras_mtl import launch
from keras_mtl._launching._job_files import Job, write_job
from keras_mtl.training._cluster._description import Description, read_description

yaml = pytest.importorskip("yaml")
validator = shutil.which("kubernetes-validate")


def documents(folder, **values):
    job = Job(workers=3, script="train.py", arguments=("--rate", "a b"), name="census", **values)
    return list(yaml.safe_load_all(write_job("kubernetes", job, folder / "job.yaml").read_text()))


def test_pods_of_the_job_find_each_other_by_what_it_sets(tmp_path):
    service, policy, job = documents(tmp_path, gpus=1)
    pod = job["spec"]["template"]["spec"]
    container = pod["containers"][0]
    assert container["command"] == ["python", "train.py", "--rate", "a b"]
    assert container["resources"]["limits"] == {"memory": "16Gi", "nvidia.com/gpu": 1}
    assert pod["subdomain"] == service["metadata"]["name"]
    assert service["spec"]["clusterIP"] == "None"
    labels = {"job-name": job["metadata"]["name"]}  # Kubernetes sets it on the pods
    assert service["spec"]["selector"] == policy["spec"]["podSelector"]["matchLabels"] == labels
    environment = {entry["name"]: entry["value"] for entry in container["env"]}
    # What Kubernetes adds for the pod of index 1.
    environment |= {"JOB_COMPLETION_INDEX": "1", "HOSTNAME": f"{job['metadata']['name']}-1"}
    workers = tuple(f"census-{i}.census:2222" for i in range(3))
    assert read_description(environment) == Description(workers, 1, "Kubernetes")
    assert container["ports"][0]["containerPort"] == service["spec"]["ports"][0]["port"] == 2222


@pytest.mark.parametrize("failed", [0, 143])
def test_the_batch_script_starts_workers_and_starts_again(tmp_path, failed):
    job = Job(workers=2, script="my train.py", arguments=("$HOME", "it's"), restarts=1)
    path = write_job("slurm", job, tmp_path / "job.slurm")
    for name, body in (("srun", f"exit {failed}"), ("scontrol", "")):
        program = tmp_path / name
        program.write_text(f'#!/bin/bash\nprintf "%s\\n" {name} "$@" >> {tmp_path}/calls\n{body}\n')
        program.chmod(0o755)
    calls = []
    for restarts in ("", "1"):
        environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_JOB_ID": "7"}
        environment |= {"SLURM_RESTART_COUNT": restarts} if restarts else {}
        done = subprocess.run(["bash", "-u", path], env=environment, check=False)
        assert done.returncode == failed
        calls.append((tmp_path / "calls").read_text().splitlines())
        (tmp_path / "calls").unlink()
    started = ["srun", "--kill-on-bad-exit=1", "python", "my train.py", "$HOME", "it's"]
    again = ["scontrol", "requeue", "7"] if failed else []
    assert calls == [[*started, *again], started]
    text = path.read_text()
    assert "#SBATCH --ntasks=2\n" in text and "#SBATCH --mem=16G\n" in text and "gpus" not in text


def test_the_command_writes_files_without_keras(tmp_path):
    program = (
        "import sys; from keras_mtl import launch; launch.main(sys.argv[1:]); "
        "assert not {'keras', 'tensorflow'} & set(sys.modules)"
    )
    options = ["--workers", "4", "--write", "kubernetes", "--image", "a/b:1", "--cpus", "2"]
    done = subprocess.run(
        [sys.executable, "-c", program, *options, "train.py", "--write", "x"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "train.yaml\n"), done.stderr
    text = (tmp_path / "train.yaml").read_text()
    assert json.dumps(["python", "train.py", "--write", "x"]) in text
    assert "completions: 4\n" in text and 'cpu: "2"' in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--write", "kubernetes"], "needs --image"),
        (["--write", "slurm", "--name", "a b"], "name is 'a b'; expected small letters"),
        (["--write", "slurm", "--memory", "16"], "memory is '16'; expected a number and Ki"),
        (["--write", "slurm", "--time", "1 day"], "time is '1 day'; expected hours"),
        (["--write", "slurm", "--gpus", "-1"], "gpus is -1; expected 0 or more"),
        (["--write", "kubernetes", "--image", "a\nb"], "image is .*expected the name of an image"),
    ],
)
def test_what_cannot_stand_in_a_file_is_refused(options, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=message):
        launch.main(["--workers", "2", *options, "train.py"])
    assert not [*pathlib.Path().iterdir()]


@pytest.mark.slow
@pytest.mark.skipif(validator is None, reason="needs kubernetes-validate")
@pytest.mark.parametrize(
    ("old", "new", "is_right"),
    [
        ("", "", True),
        ("completions: 3", "completions: three", False),
        ("containerPort", "containerport", False),
        ("action: Ignore", "actoin: Ignore", False),
        ("clusterIP: None", "clusterIP: [None]", False),
    ],
)
def test_kubernetes_reads_the_file_and_refuses_planted_faults(tmp_path, old, new, is_right):
    documents(tmp_path, gpus=1)
    path = tmp_path / "job.yaml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    done = subprocess.run(
        [str(validator), "--strict", str(path)], capture_output=True, text=True, check=False
    )
    assert (done.returncode == 0) == is_right, done.stdout + done.stderr
