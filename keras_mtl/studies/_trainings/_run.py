"""Does the jobs that are not done yet, and shows progress."""

from collections.abc import Iterable, Iterator, Sequence

from keras_mtl.studies._trainings._job import Job
from keras_mtl.studies._trainings._record import Training, read_record
from keras_mtl.studies._trainings._train import Setup, train
from keras_mtl.studies._trainings._workers import train_in_processes


class Runner:
    """Trains what is not trained yet, and tells how long the rest will take.

    Args:
        setup: What all trainings have in common.
        workers: The number of processes; 1 trains in this one.
        planned: The number of trainings of the whole study.
        verbose: Whether to print a line per training.
    """

    def __init__(self, setup: Setup, workers: int, planned: int, verbose: bool) -> None:
        self._setup = setup
        self._workers = workers
        self._planned = planned
        self._verbose = verbose
        self._ended = 0
        self._trained: list[float] = []

    def run(self, jobs: Sequence[Job]) -> list[Training]:
        """Returns the records of all jobs, in their order; trains those that have none."""
        records = {job.path: read_record(self._setup.folder / f"{job.path}.json") for job in jobs}
        left = [job for job in jobs if records[job.path] is None]
        self._ended += len(jobs) - len(left)
        texts = {(j.network.contender, j.network.index, j.stage, j.number): j for j in left}
        for training in self._train(left):
            key = (training.contender, training.network, training.stage, training.number)
            job = texts[key]
            records[job.path] = training
            self._tell(job, training)
        return [record for record in records.values() if record is not None]

    def _train(self, jobs: list[Job]) -> Iterable[Training]:
        if self._workers == 1 or len(jobs) < 2:
            return self._train_here(jobs)
        return train_in_processes(jobs, self._setup, self._workers)

    def _train_here(self, jobs: list[Job]) -> Iterator[Training]:
        for job in jobs:
            yield train(job, self._setup)

    def _tell(self, job: Job, training: Training) -> None:
        self._ended += 1
        self._trained.append(training.seconds)
        if not self._verbose:
            return
        if training.state == "failed":
            outcome = f"failed: {training.error}"
        else:
            epoch = training.best_epoch if training.best_epoch is not None else -1
            values = list(training.values(epoch).items())[:3]
            outcome = ", ".join(f"{task} {value:.4g}" for task, value in values)
        left = max(self._planned - self._ended, 0)
        mean = sum(self._trained) / len(self._trained)
        rest = f"; about {_duration(left * mean / self._workers)} left" if left else ""
        print(
            f"[{self._ended} of {self._planned}] {job.text}: {outcome} "
            f"({_duration(training.seconds)}{rest})",
            flush=True,
        )


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
