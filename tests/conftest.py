"""What every test starts from."""

import keras
import pytest


@pytest.fixture(autouse=True)
def seeded():
    """The same weights and draws in every run."""
    keras.utils.set_random_seed(0)
