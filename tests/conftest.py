"""The setting of every test."""

import gc
import os

# Before NumPy: on a few rows, threads that wait for each other cost more than they bring.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import keras
import pytest


def pytest_xdist_auto_num_workers() -> int:
    """Returns one worker more than there are cores: some wait for processes that they started."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture(scope="session", autouse=True)
def frozen_imports() -> None:
    """Keeps the imported modules out of garbage collections, a tenth of the time of tests."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Seeds Keras, so that every run has the same initial values and draws."""
    keras.utils.set_random_seed(0)
