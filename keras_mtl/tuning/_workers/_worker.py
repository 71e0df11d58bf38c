"""The program of a process that works on the trials of a search.

It is started as `python -m keras_mtl.tuning._workers._worker FOLDER INDEX`.
"""

import os
import pathlib
import sys
import threading

import cloudpickle
import tensorflow as tf

from keras_mtl.training._quiet_tracing import quiet_tracing
from keras_mtl.tuning._optuna._plan import apply_keras_settings
from keras_mtl.tuning._optuna._require import quiet_optuna
from keras_mtl.tuning._optuna._run_trials import run_trials
from keras_mtl.tuning._optuna._study import open_study
from keras_mtl.tuning._workers._files import ERROR, WORK

_EXIT_WITH_ERROR = 3


def main(folder: pathlib.Path, index: int) -> int:
    """Works on trials until none is left.

    Args:
        folder: The folder of the processes, which holds the pickled work.
        index: The index of this process.

    Returns:
        The exit code: 0 if nothing is left to do.
    """
    threading.Thread(target=_end_with_parent, daemon=True).start()
    for device in tf.config.list_physical_devices("GPU"):
        # By default the first process takes all memory of a device.
        tf.config.experimental.set_memory_growth(device, True)
    plan, settings, train, validation = cloudpickle.loads((folder / WORK).read_bytes())
    apply_keras_settings(settings)
    try:
        with quiet_optuna(), quiet_tracing():
            run_trials(open_study(plan), plan, train.unpack(), validation.unpack())
    except Exception as error:
        (folder / ERROR.format(index)).write_bytes(cloudpickle.dumps(error))
        return _EXIT_WITH_ERROR
    return 0


def _end_with_parent() -> None:
    """Ends this process when the one that started it does, which closes the pipe."""
    # `sys.stdin` holds a lock while it reads, which makes Python abort when this process ends.
    while os.read(0, 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]), int(sys.argv[2])))
