"""The import of Optuna, which is an extra."""

import contextlib
import importlib
import warnings
from collections.abc import Iterator
from typing import Any


def require_optuna() -> Any:
    """Imports Optuna.

    Raises:
        ImportError: If it is not installed; the message has the command that installs it.

    Example:
        >>> require_optuna().__name__
        'optuna'
    """
    try:
        return importlib.import_module("optuna")
    except ImportError as error:
        raise ImportError(
            "Several objectives, and the tuners 'tpe' and 'nsga2', need Optuna 5 or newer: "
            "pip install 'keras_mtl[pareto]'."
        ) from error


@contextlib.contextmanager
def quiet_optuna() -> Iterator[None]:
    """Leaves out what Optuna says of itself: each new trial, and that options are experimental."""
    optuna = require_optuna()
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)
