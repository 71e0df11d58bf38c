"""A model card states what is known, says what is not, and holds no text of a user as code."""

import re

import keras
import numpy as np
import pytest

import keras_mtl as mtl
from keras_mtl import Task
from keras_mtl.export import RefusedVersion, check_manifest, model_card, saved_model

EVIL = "<script>x</script> | ![a](http://b) `c` ~~d~~ \n# big"


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    tasks = [
        Task.binary("z", threshold=0.3),
        Task.regression("a.b", scale=mtl.Scale("log", [1.25], [0.5])),
        Task.multilabel("many", 2, columns=[EVIL, "plain"]),
    ]
    x = keras.Input((2,), name="x")
    network = keras.Model(x, {task.name: task.output(x) for task in tasks})
    return saved_model(network, tasks, tmp_path_factory.mktemp("cards") / "shop" / "1")


def cells(line):
    """Returns the cells of a row of a table, as Markdown shows them."""
    parts = re.split(r"(?<!\\)\|", line)[1:-1]
    return [re.sub(r"\\(.)", r"\1", part.strip()) for part in parts]


def rows_of(text, heading):
    section = text.split(f"## {heading}\n\n")[1].split("\n\n")[0]
    return [cells(line) for line in section.splitlines()[2:]]


def test_an_export_states_tasks_and_inputs_and_that_nothing_else_is_known(exported):
    text = (exported / "model_card.md").read_text()
    assert text.startswith("# shop\n")
    z, a, _ = rows_of(text, "Tasks")
    assert z == ["z", "yes or no, probabilities", "(any, 1)", "yes above 0.3", "as trained"]
    assert a[0] == "a.b" and a[4] == "given back; learned as log, center 1.25, spread 0.5"
    assert rows_of(text, "Inputs") == [["x", "float32", "(any, 2)", "answered with NaN"]]
    for heading in ("Metrics", "Data", "Limits", "License"):
        assert f"## {heading}\n\nNot stated." in text


def test_what_the_maker_knows_is_stated_and_the_manifest_covers_it(exported):
    metrics = {"z": {"auc": (0.8125, 0.79, 0.83), "f1": 0.4}, "a.b": {"mae": np.float64(3.5)}}
    card = model_card(
        exported, data="Clicks of 2024.", metrics=metrics, limits=["Not for loans."], license="MIT"
    )
    text = card.read_text()
    assert rows_of(text, "Metrics") == [
        ["z", "auc", "0.8125", "0.79 to 0.83"],
        ["z", "f1", "0.4", "not stated"],
        ["a.b", "mae", "3.5", "not stated"],
    ]
    assert "Clicks of 2024\\." in text and "\n- Not for loans\\.\n" in text and "MIT" in text
    assert "model_card.md" in check_manifest(exported).files


def test_a_comparison_with_single_task_networks_gives_the_intervals(exported):
    alone, together = {"z": [0.70, 0.71, 0.69]}, {"z": [0.80, 0.82, 0.78]}
    result = mtl.analysis.compare_scores(alone, together, directions="max")
    ((task, _, value, interval),) = rows_of(
        model_card(exported, metrics=result).read_text(), "Metrics"
    )
    assert (task, value) == ("z", "0.8; alone 0.7")
    low, high = (float(n) for n in re.findall(r"\d+\.\d+", interval))
    assert low < 0.1 < high and interval.endswith("(helped)")
    # Differences without any spread cannot be tested.
    equal = mtl.analysis.compare_scores(alone, {"z": [0.80, 0.81, 0.79]}, directions="max")
    ((_, _, _, interval),) = rows_of(model_card(exported, metrics=equal).read_text(), "Metrics")
    assert interval == "not tested (undecided)"


def test_no_text_of_a_user_is_markdown_or_html(exported):
    text = model_card(exported, data=EVIL, limits=[EVIL], license=EVIL).read_text()
    assert "<script" not in text and "![" not in text and "](" not in text
    assert not re.search(r"(?<!\\)[`~]", text) and "\n# big" not in text
    (many,) = [row for row in rows_of(text, "Tasks") if row[0] == "many"]
    assert len(many) == 5 and "&lt;script&gt;" in many[2]


@pytest.mark.parametrize(
    ("metrics", "error", "message"),
    [
        ({"y": {"auc": 1.0}}, ValueError, r"of \['y'\]; the tasks are \['a\.b', 'many', 'z'\]"),
        ({"z": {"auc": (1.0, 2.0)}}, ValueError, r"task 'z': 'auc' is a number, or \(value"),
        ({"z": {"auc": "high"}}, ValueError, "task 'z': 'auc' is a number"),
        (0.5, TypeError, "received a float"),
    ],
)
def test_metrics_that_cannot_be_stated_are_refused(exported, metrics, error, message):
    before = (exported / "model_card.md").read_bytes()
    with pytest.raises(error, match=message):
        model_card(exported, metrics=metrics)
    assert (exported / "model_card.md").read_bytes() == before
    check_manifest(exported)


def test_a_version_that_was_changed_gets_no_new_manifest(exported, tmp_path):
    import shutil

    copy = shutil.copytree(exported, tmp_path / "1")
    (copy / "outputs.json").write_text("{}")
    with pytest.raises(RefusedVersion, match="is not the file that was exported"):
        model_card(copy, license="MIT")
