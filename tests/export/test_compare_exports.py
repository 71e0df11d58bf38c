"""Artifacts of one network on the same data, and the refusal of what moves a task."""

import keras
import numpy as np
import pytest
import sklearn.metrics
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl.export import ArtifactSize, FormatComparison, MovedPrediction, compare
from keras_mtl.export._formats._calibration import Calibration

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(300, 2)).astype("float32")
TASKS = [mtl.Task.binary("z"), mtl.Task.regression("a"), mtl.Task.multiclass("c", 3, metrics=())]
Y = {
    "z": np.where(RANDOM.random(300) < 0.3, np.nan, X[:, 0] + RANDOM.normal(size=300) > 0),
    "a": X[:, 1] + RANDOM.normal(size=300),
    "c": RANDOM.integers(-1, 3, 300),
}


def network_of(slope=1.0, name="network"):
    inputs = keras.Input((2,), name="x")
    outputs = {task.name: task.output(inputs) for task in TASKS}
    network = keras.Model(inputs, outputs, name=name)
    values = {"z": [[slope], [0.3]], "a": [[0.0], [slope]], "c": [[slope, 0, 1], [0, 2, 0]]}
    for variable in network.trainable_variables:
        task = variable.path.partition("_logits")[0]
        variable.assign(values[task] if variable.ndim == 2 else np.zeros(variable.shape))
    return network


def rows_of(result, artifact):
    return {row.task: row for row in result.rows if row.artifact == artifact}


@pytest.fixture(scope="module")
def two():
    networks = network_of(), network_of(0.2)
    return *networks, compare(dict(zip(("one", "two"), networks, strict=True)), (X, Y), TASKS)


def test_scores_and_changes_are_those_of_numpy_and_scikit_learn(two):
    first, second, result = two
    assert result.num_rows == 300
    one, two = (network.predict(X, verbose=0) for network in (first, second))
    rows, known = rows_of(result, "two"), ~np.isnan(Y["z"])
    auc = [sklearn.metrics.roc_auc_score(Y["z"][known], p["z"][known, 0]) for p in (one, two)]
    assert rows["z"].metric == "auc"
    assert rows["z"].score == pytest.approx(auc[1], abs=1e-9)
    assert rows["z"].worse_by == pytest.approx(auc[0] - auc[1], abs=1e-9)
    mae = [np.abs(p["a"][:, 0] - Y["a"]).mean() for p in (one, two)]
    assert rows["a"].worse_by == pytest.approx(mae[1] - mae[0], rel=1e-5)
    assert mae[1] > mae[0] and auc[1] < auc[0]
    for name, row in rows.items():
        changes = np.sort(np.abs(one[name] - two[name]).ravel())
        assert row.largest_change == pytest.approx(changes[-1])
        assert row.usual_change == pytest.approx(np.quantile(changes, 0.999, method="higher"))
    labeled = Y["c"] >= 0
    losses = -np.log(two["c"][labeled, Y["c"][labeled]])
    assert rows["c"].metric == "mean_loss"
    assert rows["c"].score == pytest.approx(losses.mean(), rel=1e-5)


def test_the_calibration_error_is_that_of_bins_by_hand(two):
    p, known = two[0].predict(X, verbose=0)["z"][:, 0], ~np.isnan(Y["z"])
    p, y, expected = p[known], Y["z"][known], 0.0
    for place in range(15):
        inside = (p >= place / 15) & (p < (place + 1) / 15)
        if inside.any():
            expected += inside.mean() * abs(y[inside].mean() - p[inside].mean())
    rows = rows_of(two[2], "one")
    assert rows["z"].ece == pytest.approx(expected, abs=1e-6)
    assert np.isnan(rows["a"].ece) and np.isnan(rows["c"].ece)
    assert np.isnan(Calibration().error())


def test_what_moves_a_task_beyond_its_tolerance_is_refused_by_name(two):
    exports = {"one": two[0], "two": two[1]}
    message = r"task 'a' of artifact 'two' is worse by 0\.\d+ in mae, and 0.01 is allowed"
    with pytest.raises(ValueError, match=message) as error:
        compare(exports, (X, Y), TASKS, tolerance={"a": 0.01})
    assert "artifact  kind" in str(error.value)
    assert not compare(exports, (X, Y), TASKS, tolerance={"a": 1.0}).moved
    # A better score is no move, whichever artifact has it.
    compare(dict(reversed(exports.items())), (X, Y), TASKS, tolerance={"a": 0.0})


def test_a_prediction_that_becomes_nan_is_beyond_each_tolerance(two):
    broken = network_of(name="broken")
    broken.get_layer("c_logits").bias.assign([0.0, np.nan, 0.0])
    with pytest.raises(ValueError, match="task 'c' of artifact 'broken' predicts NaN where"):
        compare([two[0], broken], (X, Y), TASKS, tolerance={"c": 100.0})


@pytest.mark.parametrize(
    ("exports", "tolerance", "message"),
    [
        (1, None, "two artifacts or more with different names"),
        (2, {"b": 1}, r"tolerance names \['b'\]; the tasks are \['z', 'a', 'c'\]"),
        (2, -1, "a number of at least 0"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_computed(exports, tolerance, message):
    networks = [network_of(name=f"n{index}") for index in range(exports)]
    with pytest.raises(ValueError, match=message):
        compare(networks, (X, Y), TASKS, tolerance=tolerance)


def test_a_tolerance_without_labels_is_refused(two, tmp_path):
    unlabeled = {**Y, "a": np.full(300, np.nan)}
    networks = {"one": two[0], "two": two[1]}
    with pytest.raises(ValueError, match=r"\['a'\] have a tolerance and no labels"):
        compare(networks, (X, unlabeled), TASKS, tolerance=0.1)
    (tmp_path / "network.h5").write_bytes(b"")
    with pytest.raises(ValueError, match=r"a file that ends in .onnx or .tflite"):
        compare([two[0], tmp_path / "network.h5"], (X, Y), TASKS)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    network = network_of()
    folder = mtl.export.saved_model(network, TASKS, tmp_path_factory.mktemp("files") / "1")
    return {
        "network": network,
        "folder": folder,
        "onnx": mtl.export.onnx(folder),
        "litert": mtl.export.litert(folder),
    }


def test_a_network_its_folder_and_its_files_are_compared_in_one_call(files):
    batches = tf.data.Dataset.from_tensor_slices((X.astype("float64"), Y)).batch(70)
    result = compare(files, batches, TASKS, tolerance=1e-5)
    assert result.batch_rows == 70 and len(result.rows) == 12 and not result.moved
    assert all(row.largest_change < 1e-6 for row in result.rows)
    assert [size.kind for size in result.artifacts] == ["Keras", "SavedModel", "ONNX", "LiteRT"]
    sizes = [size.bytes for size in result.artifacts]
    assert sizes[0] == 4 * files["network"].count_params()
    assert sizes[2:] == [files[name].stat().st_size for name in ("onnx", "litert")]
    assert all(size.milliseconds > 0 for size in result.artifacts)


def test_a_table_has_one_row_per_task_and_artifact():
    rows = (MovedPrediction("a", "x", "auc", 0.5, 0.0, float("nan"), 0.0, 0.0),)
    result = FormatComparison(rows, (ArtifactSize("x", "ONNX", 7, 1.0),), 3, 3, {})
    assert [line.split() for line in str(result).splitlines()][1] == [
        "a",
        "x",
        "auc",
        "0.5",
        "-",
        "-",
        "0",
        "0",
    ]
    assert result.to_records()[0]["ece"] is None
