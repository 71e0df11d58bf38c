"""The setting of every test."""

import keras
import pytest


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Seeds Keras, so that every run has the same initial values and draws."""
    keras.utils.set_random_seed(0)
