"""Ray Train as the engine that starts the workers of `training.cluster`, and starts them again."""

import pathlib
import tempfile
from collections.abc import Mapping
from typing import Any

import keras

from keras_mtl.training._cluster._ray_backend import make_config


def ray_config() -> Any:
    """Returns the `tensorflow_config` with which Ray's `TensorflowTrainer` starts our workers.

    Ray Train places workers on the machines of a Ray cluster, and starts all of them again if one
    dies. The function that it runs on each worker calls `training.cluster` first, as a script does
    that other engines start:

        from ray.train import FailureConfig, RunConfig, ScalingConfig
        from ray.train.tensorflow import TensorflowTrainer

        def train(config):
            cluster = mtl.training.cluster()
            with cluster.strategy.scope():
                model = BalancedModel(network, tasks, balancer)
                model.compile("adam")
            backup = mtl.training.Backup("/shared/backup", every=100)
            model.fit(dataset, epochs=10, callbacks=[backup, mtl.training.RayReport()])

        result = TensorflowTrainer(
            train,
            tensorflow_config=mtl.training.ray_config(),
            scaling_config=ScalingConfig(num_workers=4),
            run_config=RunConfig(failure_config=FailureConfig(max_failures=3)),
        ).fit()

    `fit` equals that of one process, as with every engine, and with `training.Backup` in a folder
    that all machines share, a training that lost a worker ends as one that lost none. (Ray starts
    the function in a thread, which SIGTERM does not reach: at most `every` steps are repeated.)

    Ray's own `TensorflowConfig` sets `TF_USE_LEGACY_KERAS`, which makes `tf.keras` another Keras
    than the one of this package, and gives workers of one machine its outer address. This one does
    neither. Networks that are built inside of `train` are its own: a function takes no Keras model
    to other machines.

    Choose it where a Ray cluster is there already. Otherwise `python -m keras_mtl.launch` and the
    files that it writes need nothing beside this package.

    Raises:
        ImportError: If Ray Train is not installed: `pip install 'keras_mtl[distributed]'`.

    Example:
        >>> import importlib.util
        >>> import keras_mtl as mtl
        >>> if importlib.util.find_spec("ray"):
        ...     config = mtl.training.ray_config()
    """
    try:
        return make_config()
    except ImportError as error:
        raise ImportError(f"{_MISSING} ({error})") from error


class RayReport(keras.callbacks.Callback):
    """Reports the logs of each epoch to Ray Train, with the network of that epoch.

    Pass it to `fit` in the function that Ray's `TensorflowTrainer` runs, on all workers. Ray keeps
    metrics only beside a checkpoint (`result.metrics` is `None` without one): the first worker
    writes `network.keras`, the network without the balancer, which the trainer's result holds:

        result.metrics["val_loss"]
        with result.checkpoint.as_directory() as folder:
            network = keras.saving.load_model(f"{folder}/network.keras")

    It is no backup: training goes on from `training.Backup`. How many networks are kept, and by
    which metric, says Ray's `RunConfig(checkpoint_config=...)`.

    Raises:
        ImportError: When training begins, if Ray Train is not installed.
        RuntimeError: When training begins, if Ray Train has not started this process.

    Example:
        >>> import keras_mtl as mtl
        >>> mtl.training.RayReport().__class__.__name__
        'RayReport'
    """

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Checks that Ray Train is there to report to."""
        try:
            from ray import train
        except ImportError as error:
            raise ImportError(f"{_MISSING} ({error})") from error
        try:
            train.get_context().get_world_rank()
        except RuntimeError as error:
            raise RuntimeError(
                "training.RayReport reports to Ray Train, which has not started this process. Pass "
                "it in the function that TensorflowTrainer runs, and leave it out elsewhere."
            ) from error

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Reports; all workers have to, and the first one adds the network.

        See docs/keras_notes.md, 145.
        """
        from ray import train

        metrics = {"epoch": epoch + 1, **{name: float(log) for name, log in (logs or {}).items()}}
        if train.get_context().get_world_rank() != 0:
            train.report(metrics)
            return
        with tempfile.TemporaryDirectory() as folder:
            network: Any = getattr(self.model, "network", self.model)
            network.save(pathlib.Path(folder, "network.keras"))
            train.report(metrics, checkpoint=train.Checkpoint.from_directory(folder))


_MISSING = "Ray Train cannot be imported. Install the extra: pip install 'keras_mtl[distributed]'"
