"""The setting of every test of searches."""

import gc

import pytest


@pytest.fixture(autouse=True)
def cheap_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Disables garbage collection.

    Keras Tuner collects garbage twice per trial, which takes longer here than the training.
    """
    monkeypatch.setattr(gc, "collect", lambda: 0)
