"""What stands in the files, and how they are written."""

import dataclasses
import importlib.resources
import os
import pathlib
import re
import shlex
from typing import Any, Literal

_WORD = re.compile(r"[A-Za-z0-9_./:@-]+")
_NAME = re.compile(r"[a-z]([a-z0-9-]{0,48}[a-z0-9])?")  # Kubernetes appends '-' and an index
_MEMORY = re.compile(r"\d+[KMGT]i")
_TIME = re.compile(r"(\d+-)?\d{1,2}:\d{2}:\d{2}")
_TEMPLATES = {"kubernetes": "job.yaml.j2", "slurm": "job.slurm.j2"}
_PORT = 2222


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """States what a scheduler starts.

    Args:
        workers: The number of workers, one per pod or node.
        script: The script, as the workers see it.
        arguments: Its arguments.
        name: The name of the job: small letters, digits and '-'.
        restarts: How often all workers start again after one of them has failed.
        cpus, gpus: Processors of each worker.
        memory: Memory of each worker, such as `16Gi`.
        image: The container image, with the script in it (Kubernetes).
        claim: The name of the persistent volume claim that all workers share (Kubernetes).
        time: The longest time that the job may take, `days-hours:minutes:seconds` (Slurm).

    Raises:
        ValueError: If a value cannot stand in such a file.

    Example:
        >>> Job(workers=4, script="train.py").name
        'train'
    """

    workers: int
    script: str
    arguments: tuple[str, ...] = ()
    name: str = "train"
    restarts: int = 3
    cpus: int = 4
    gpus: int = 0
    memory: str = "16Gi"
    image: str = "registry.example.com/keras_mtl:latest"
    claim: str = "train-backup"
    time: str = "1-00:00:00"

    def __post_init__(self) -> None:
        least = {"workers": 1, "restarts": 0, "cpus": 1, "gpus": 0}
        for field, low in least.items():
            if getattr(self, field) < low:
                raise ValueError(f"{field} is {getattr(self, field)}; expected {low} or more.")
        patterns = {
            "name": (_NAME, "small letters, digits and '-', at most 50, a letter first"),
            "memory": (_MEMORY, "a number and Ki, Mi, Gi or Ti, such as '16Gi'"),
            "time": (_TIME, "hours:minutes:seconds, with 'days-' before it for more"),
            "image": (_WORD, "the name of an image"),
            "claim": (_NAME, "the name of a persistent volume claim"),
        }
        for field, (pattern, expected) in patterns.items():
            if not pattern.fullmatch(getattr(self, field)):
                raise ValueError(f"{field} is {getattr(self, field)!r}; expected {expected}.")
        for text in (self.script, *self.arguments):
            if not text.isprintable():
                raise ValueError(f"{text!r} cannot stand in a file: it has a control character.")


def write_job(
    kind: Literal["kubernetes", "slurm"], job: Job, path: str | os.PathLike[str]
) -> pathlib.Path:
    """Writes the file of a job; one that exists is replaced.

    - `kubernetes`: an Indexed Job, the headless service by which its pods find each other, and a
      network policy that lets nobody else reach them.
    - `slurm`: a batch script, which starts again by `scontrol requeue`.

    The files are a start and say what was decided: read them before use.

    Args:
        kind: The scheduler.
        job: What it starts.
        path: Where to write.

    Returns:
        The file.
    """
    import jinja2

    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    command = ["python", job.script, *job.arguments]
    values: dict[str, Any] = {
        **vars(job),
        "port": _PORT,
        "command": command,
        "shell_command": shlex.join(command),
        "slurm_memory": job.memory.removesuffix("i"),
    }
    template = importlib.resources.files("keras_mtl._launching") / _TEMPLATES[kind]
    path = pathlib.Path(path)
    text = environment.from_string(template.read_text("utf-8")).render(values)
    path.write_text(text, "utf-8")
    return path
