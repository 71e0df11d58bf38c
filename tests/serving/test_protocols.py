"""Both protocols answer as the NumPy twin of the model does."""

import concurrent.futures

import numpy as np
import pytest
from running_server import serve
from tiny_model import COLUMNS, ONE_ROW, ROWS, SHARED, reference, write_version

TASKS = ["never_married", "income", "left"]
DATATYPES = {"string": "BYTES", "float32": "FP32", "int64": "INT64"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "tiny"
    write_version(folder / "7")
    with serve(folder) as address:
        yield address


def instances(names, rows=ROWS):
    return [dict(zip(names, row, strict=True)) for row in zip(*map(rows.get, names), strict=True)]


def tensors(names, flat=False):
    return [
        {
            "name": name,
            "shape": list(np.shape(ROWS[name])),
            "datatype": DATATYPES[COLUMNS[name][0]],
            "data": np.ravel(ROWS[name]).tolist() if flat else ROWS[name],
        }
        for name in names
    ]


def close(values, expected):
    # float32 of numbers up to 60.
    np.testing.assert_allclose(values, expected, rtol=1e-6, atol=4e-6)


def test_rows_of_all_tasks_are_objects_per_row(server):
    status, content = server.ask("/v1/models/tiny:predict", {"instances": instances(COLUMNS)})
    assert status == 200
    expected = reference(ROWS)
    assert [set(row) for row in content["predictions"]] == [set(expected)] * 3
    for name, values in expected.items():
        close([row[name] for row in content["predictions"]], values)


def test_columns_of_all_tasks_are_one_object(server):
    status, content = server.ask("/v1/models/tiny/versions/7:predict", {"inputs": ROWS})
    assert status == 200
    for name, values in reference(ROWS).items():
        close(content["outputs"][name], values)


def test_a_signature_with_one_output_is_answered_bare_and_takes_only_its_columns(server):
    body = {"signature_name": "never_married", "instances": instances(SHARED)}
    status, content = server.ask("/v1/models/tiny:predict", body)
    assert status == 200
    close(content["predictions"], reference(ROWS)["never_married"])
    body = {"signature_name": "never_married", "inputs": {name: ROWS[name] for name in SHARED}}
    close(
        server.ask("/v1/models/tiny:predict", body)[1]["outputs"],
        reference(ROWS)["never_married"],
    )


@pytest.mark.parametrize("form", [{"instances": [1, 2.5]}, {"inputs": [1, 2.5]}])
def test_the_only_column_of_a_signature_needs_no_name(server, form):
    status, content = server.ask("/v1/models/tiny:predict", {"signature_name": "left", **form})
    assert status == 200
    close(next(iter(content.values())), [39, 37.5])


def test_a_task_with_a_threshold_has_its_decision_beside_it(server):
    body = {"signature_name": "income", "instances": instances(SHARED)}
    rows = server.ask("/v1/models/tiny:predict", body)[1]["predictions"]
    assert [row["income_decision"] for row in rows] == [[1], [0], [1]]
    assert all(set(row) == {"income", "income_decision"} for row in rows)


@pytest.mark.parametrize("flat", [False, True])
def test_the_open_inference_protocol_answers_all_outputs(server, flat):
    body = {"id": "a1", "inputs": tensors(COLUMNS, flat)}
    status, content = server.ask("/v2/models/tiny/infer", body)
    assert status == 200
    assert (content["model_name"], content["model_version"], content["id"]) == ("tiny", "7", "a1")
    expected = reference(ROWS)
    assert {output["name"] for output in content["outputs"]} == set(expected)
    for output in content["outputs"]:
        values = expected[output["name"]]
        assert output["shape"] == list(values.shape)
        assert output["datatype"] == ("INT32" if "decision" in output["name"] else "FP32")
        close(np.reshape(output["data"], output["shape"]), values)


@pytest.mark.parametrize(("task", "names"), [("left", ["hours"]), ("never_married", SHARED)])
def test_a_named_output_is_one_task_alone_and_needs_its_columns_only(server, task, names):
    body = {"inputs": tensors(names), "outputs": [{"name": task}]}
    status, content = server.ask("/v2/models/tiny/versions/7/infer", body)
    assert status == 200
    (output,) = content["outputs"]
    close(np.reshape(output["data"], output["shape"]), reference(ROWS)[task])


def test_a_missing_number_is_null_where_the_network_fills_it_and_refused_elsewhere(server):
    row = {**ONE_ROW, "age": [None]}
    status, content = server.ask("/v1/models/tiny:predict", {"instances": [row]})
    assert status == 200
    expected = reference({name: [value] for name, value in row.items()})["income"][0]
    close(content["predictions"][0]["income"], expected)
    row = {**ONE_ROW, "hours": None}
    status, content = server.ask("/v1/models/tiny:predict", {"instances": [row]})
    assert status == 400
    assert content["error"] == "column 'hours', row 0: expected a number, received null."


def test_strings_may_be_written_in_base64(server):
    row = {**{name: ONE_ROW[name] for name in SHARED}, "worker": [{"b64": "cHVibGlj"}]}
    body = {"signature_name": "never_married", "instances": [row]}
    expected = reference({**ROWS, "worker": [["public"]] * 3})["never_married"][:1]
    close(server.ask("/v1/models/tiny:predict", body)[1]["predictions"], expected)


def test_what_the_server_says_of_itself(server):
    assert server.ask("/v2/health/live")[0] == server.ask("/v2/health/ready")[0] == 200
    assert server.ask("/v2/models/tiny/ready")[0] == 200
    (state,) = server.ask("/v1/models/tiny")[1]["model_version_status"]
    assert (state["version"], state["state"]) == ("7", "AVAILABLE")
    metadata = server.ask("/v2/models/tiny")[1]
    assert metadata["versions"] == ["7"]
    shapes = {column["name"]: column["shape"] for column in metadata["inputs"]}
    assert shapes == {"worker": [-1, 1], "age": [-1, 1], "hours": [-1], "weeks": [-1, 1]}
    signatures = server.ask("/v1/models/tiny/metadata")[1]["metadata"]["signature_def"]
    left = signatures["signature_def"]["left"]
    assert (left["inputs"]["hours"]["dtype"], set(left["outputs"])) == ("DT_FLOAT", {"left"})
    assert server.ask("/v2")[1]["name"] == "keras_mtl"


def test_requests_of_all_kinds_at_once_get_the_answers_of_their_own_rows(server):
    workers = np.array(["private", "public", "other"], object)

    def ask(seed):
        random = np.random.default_rng(seed)
        count = 1 + seed % 4
        rows = {
            "worker": workers[random.integers(0, 3, (count, 1))].tolist(),
            "age": random.uniform(-50, 50, (count, 1)).tolist(),
            "hours": random.uniform(0, 60, count).tolist(),
            "weeks": random.integers(0, 53, (count, 1)).tolist(),
        }
        signature = ["serving_default", *TASKS][seed % 4]
        names = {"left": ["hours"], "serving_default": list(COLUMNS)}.get(signature, SHARED)
        body = {"signature_name": signature, "inputs": {name: rows[name] for name in names}}
        return signature, rows, server.ask("/v1/models/tiny:predict", body)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(200)))
    for signature, rows, (status, content) in answers:
        assert status == 200
        expected = reference(rows)
        outputs = content["outputs"]
        if signature in ("never_married", "left"):
            outputs = {signature: outputs}
        for name, values in outputs.items():
            close(values, expected[name])
    metrics = server.ask("/metrics")[1]
    assert 'mtl_request_seconds_count{model="tiny",task="left"}' in metrics
    assert 'mtl_requests_total{code="200",kind="ok",model="tiny"}' in metrics
    assert 'mtl_model_version{model="tiny"} 7.0' in metrics
