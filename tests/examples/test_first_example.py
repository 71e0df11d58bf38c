"""The first example, whole: it has no options."""

import pathlib
import runpy

FOLDER = pathlib.Path(__file__).parents[2] / "examples"


def test_a_network_of_the_user_learns_both_tasks(capsys):
    history = runpy.run_path(str(FOLDER / "01_your_own_model.py"))["history"].history
    assert history["val_digit_accuracy"][-1] > 0.85  # chance: 0.1
    assert history["val_loop_auc"][-1] > 0.95  # chance: 0.5
    assert "Epoch 20/20" in capsys.readouterr().out


def test_no_example_is_longer_than_a_hundred_lines():
    files = sorted(FOLDER.glob("*.py"))
    assert len(files) > 18
    long = {path.name: path.read_text().count("\n") for path in files}
    assert {name: lines for name, lines in long.items() if lines > 100} == {}
