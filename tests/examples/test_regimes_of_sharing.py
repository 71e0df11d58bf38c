"""The examples of gates, adversaries, modalities, stages, few labels and adaptation, shortened."""

import importlib
import pathlib
import sys

import keras
import pytest

sys.path.append(str(pathlib.Path(__file__).parents[2] / "examples"))

auxiliary_task = importlib.import_module("16_auxiliary_task")
missing_half = importlib.import_module("17_missing_half")
two_sources = importlib.import_module("18_two_sources")
stages = importlib.import_module("19_stages")
few_labels = importlib.import_module("23_few_labels")
new_harbors = importlib.import_module("26_new_harbors")

pytestmark = pytest.mark.slow  # each trains a network


@pytest.fixture(autouse=True)
def same_numbers():
    keras.utils.set_random_seed(0)


def test_a_network_answers_when_one_half_of_the_image_is_missing():
    accuracies = missing_half.main(epochs=30)
    assert accuracies["both"] > 0.9
    assert min(accuracies.values()) > 0.6  # chance is 0.1; without dropout, 0.2 to 0.4


def test_an_adversary_hides_the_source_from_a_fresh_probe():
    scores = two_sources.main(epochs=40)
    assert min(scores["films"], scores["books"]) > 0.85
    assert scores["fresh probe"] < 0.9  # without an adversary, 0.9 and more


def test_a_gate_opens_for_a_task_that_helps():
    accuracy, share = auxiliary_task.main(epochs=20)
    assert accuracy > 0.7
    assert 0.5 < share <= 1


def test_stages_train_one_task_after_the_other():
    results = stages.main(epochs=12)
    assert list(results) == ["together", "frozen", "staged"]
    for accuracy, error in results.values():
        assert accuracy > 0.5 and error < 1.0  # chance is 0.25, and the mean has 1.0


def test_rows_without_labels_make_predictions_better():
    results = few_labels.main(epochs=20, seed=1)
    assert results["VAT"][0] > results["labels alone"][0] + 0.03  # 0.06 to 0.11 by seed


def test_a_network_that_was_trained_to_be_adapted_adapts_better(tmp_path):
    errors = new_harbors.main(steps=1000, figure=tmp_path / "harbor.png")
    assert (tmp_path / "harbor.png").stat().st_size > 5000
    assert errors["trained to be adapted"] < 0.75 * errors["trained together"]
