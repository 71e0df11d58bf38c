"""Versions: the newest whole one is served, and whatever is wrong with one is a reason."""

import functools
import json
import shutil
import threading

import numpy as np
import onnx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from onnx import TensorProto, helper
from running_server import serve, wait_for
from tiny_model import ONE_ROW, ROWS, graph, interface, reference, write_version

from keras_mtl.export._beside._manifest import write_manifest
from keras_mtl.export._beside._place import new_file
from keras_mtl.export._beside._signature import sign
from keras_mtl.serving import Application, Settings
from keras_mtl.serving._versions._keeper import Keeper
from keras_mtl.serving._versions._version import load_version

PREDICT = "/v1/models/tiny:predict"


@pytest.fixture
def folder(tmp_path):
    write_version(tmp_path / "tiny" / "1", bias=0.1)
    return tmp_path / "tiny"


def with_operator(domain, kind, **attributes):
    """Returns a model that computes `left` by another operator."""
    model = graph()
    model.graph.node.remove(next(n for n in model.graph.node if n.output[0] == "left"))
    node = helper.make_node(kind, ["hours"], ["left"], domain=domain, **attributes)
    model.graph.node.append(node)
    if domain not in {entry.domain for entry in model.opset_import}:
        model.opset_import.append(helper.make_opsetid(domain, 1))
    return model


def with_hidden_operator():
    """Returns a model with an operator inside a branch."""
    inner = helper.make_node("Read", ["hours"], ["inside"], domain="evil")
    value = helper.make_tensor_value_info("inside", TensorProto.FLOAT, ["rows"])
    branch = helper.make_graph([inner], "branch", [], [value])
    model = with_operator("", "Identity")
    model.graph.node.append(
        helper.make_node("If", ["is_true"], ["unused"], then_branch=branch, else_branch=branch)
    )
    constant = helper.make_tensor("is_true", TensorProto.BOOL, [], [True])
    model.graph.initializer.append(constant)
    return model


def with_outside_data(text="/etc/passwd"):
    """Returns a model one of whose tensors is another file."""
    model = graph()
    tensor = next(t for t in model.graph.initializer if t.name == "full")
    tensor.ClearField("float_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=text)
    return model


def edit_json(name, change):
    def spoil(version):
        content = json.loads((version / name).read_text())
        change(content)
        (version / name).write_text(json.dumps(content))
        write_manifest(version)

    return spoil


def put_model(make):
    def spoil(version):
        model = make()
        content = model if type(model) is bytes else model.SerializeToString()
        (version / "model.onnx").write_bytes(content)
        write_manifest(version)

    return spoil


def flip_a_byte(version):
    content = bytearray((version / "model.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (version / "model.onnx").write_bytes(bytes(content))


def rename_an_output():
    return onnx.load_model_from_string(
        graph().SerializeToString().replace(b"\x04left", b"\x04lift")
    )


SPOILED = {
    "no manifest": (lambda v: (v / "manifest.json").unlink(), "has no manifest.json"),
    "half a manifest": (
        lambda v: (v / "manifest.json").write_text((v / "manifest.json").read_text()[:50]),
        "manifest.json cannot be read as JSON",
    ),
    "another manifest": (lambda v: (v / "manifest.json").write_text("[1]"), "must be an object"),
    "a changed byte": (flip_a_byte, "model.onnx is not the file that was exported"),
    "a truncated model": (
        lambda v: (v / "model.onnx").write_bytes((v / "model.onnx").read_bytes()[:100]),
        "model.onnx is not the file that was exported",
    ),
    "a missing file": (
        lambda v: (v / "recorded.json").unlink(),
        "names ['recorded.json'], which are not there",
    ),
    "a file too many": (lambda v: (v / "code.py").write_text("1"), "holds ['code.py']"),
    "a link": (lambda v: (v / "more").symlink_to("/etc/passwd"), "more is a symbolic link"),
    "a path outside": (
        lambda v: (v / "manifest.json").write_text(
            json.dumps(
                {
                    "format": 1,
                    "created": "",
                    "versions": {},
                    "files": {"../x": {"sha256": "", "bytes": 0}},
                }
            )
        ),
        "must name files of its own folder",
    ),
    "no model": (
        lambda v: (v / "model.onnx").unlink() or write_manifest(v),
        "has no model.onnx",
    ),
    "no ONNX": (put_model(lambda: b"\xff" * 64), "no ONNX model"),
    "an empty model": (put_model(lambda: b""), "no ONNX model"),
    "an operator of its own": (
        put_model(lambda: with_operator("com.evil", "ReadFile")),
        "com.evil.ReadFile",
    ),
    "an operator in a branch": (put_model(with_hidden_operator), "evil.Read"),
    "a tensor in another file": (put_model(with_outside_data), "in another file"),
    "an unknown standard operator": (
        put_model(lambda: with_operator("", "NoSuchOperator")),
        "ONNX Runtime cannot load",
    ),
    "another output": (put_model(rename_an_output), "no output 'left'"),
    "other weights": (put_model(lambda: graph(bias=0.3)), "is not what was recorded"),
    "another dtype": (
        edit_json("outputs.json", lambda c: c["inputs"]["age"].update(dtype="float64")),
        "'age' as float32",
    ),
    "another input": (
        edit_json("outputs.json", lambda c: c["inputs"].pop("hours")),
        "'hours', which is no input",
    ),
    "a later format": (
        edit_json("outputs.json", lambda c: c.update(format=2)),
        "received format 2",
    ),
    "no signature of all": (
        edit_json("outputs.json", lambda c: c["signatures"].pop("serving_default")),
        "no signature ['serving_default']",
    ),
    "no recorded rows": (
        edit_json("recorded.json", lambda c: c.pop("inputs")),
        "recorded.json is not complete",
    ),
    "another recorded answer": (
        edit_json("recorded.json", lambda c: c["outputs"]["income_decision"][0].__setitem__(0, 0)),
        "output 'income_decision' is not what was recorded",
    ),
}


@pytest.mark.parametrize("what", SPOILED)
def test_a_version_with_a_fault_is_refused_with_its_reason_and_the_old_one_goes_on(folder, what):
    keeper = Keeper(folder)
    keeper.look()
    first = keeper.current
    assert first.number == 1
    spoil, reason = SPOILED[what]
    write_version(folder / ".2", bias=0.2)
    spoil(folder / ".2")
    (folder / ".2").rename(folder / "2")
    keeper.look()
    assert keeper.current is first
    assert reason in keeper.refused[2]


def test_a_refused_version_is_tried_again_only_when_its_files_change(folder):
    events, loaded = [], []

    def load(path):
        loaded.append(path.name)
        return load_version(path)

    keeper = Keeper(folder, load=load, report=events.append)
    write_version(folder / "2", bias=0.2)
    whole = (folder / "2" / "model.onnx").read_bytes()
    flip_a_byte(folder / "2")
    for _ in range(3):
        keeper.look()
    assert events == ["refused", "loaded"]
    assert loaded == ["2", "1"]
    (folder / "2" / "model.onnx").write_bytes(whole)
    keeper.look()
    assert keeper.current.number == 2
    assert keeper.refused == {}
    assert events == ["refused", "loaded", "loaded"]


def test_a_version_that_is_being_copied_is_no_failure(folder):
    events = []
    keeper = Keeper(folder, report=events.append)
    keeper.look()
    write_version(folder / ".3", bias=0.2)
    (folder / "3").mkdir()
    for name in ("model.onnx", "outputs.json", "recorded.json", "manifest.json"):
        keeper.look()
        assert keeper.current.number == 1
        assert "not written to its end" in keeper.refused[3]
        shutil.copy(folder / ".3" / name, folder / "3" / name)
    keeper.look()
    assert (keeper.current.number, events) == (3, ["loaded", "loaded"])


def test_a_file_that_is_added_to_a_served_version_makes_no_moment_of_refusal(folder):
    events = []
    keeper = Keeper(folder, poll_seconds=0.001, report=events.append)
    keeper.start()
    try:
        wait_for(lambda: events)
        for number in range(15):
            model = graph(0.1)
            model.doc_string = str(number)
            with new_file(folder / "1" / "model.onnx") as path:
                path.write_bytes(model.SerializeToString())
            with new_file(folder / "1" / "notes.txt") as path:
                path.write_text(str(number))
    finally:
        keeper.stop()
    assert {*events} == {"loaded"} and keeper.refused == {}


def test_removing_the_newest_version_goes_back_and_removing_all_keeps_the_last(folder):
    write_version(folder / "2", bias=0.2)
    keeper = Keeper(folder)
    keeper.look()
    assert keeper.current.number == 2
    shutil.rmtree(folder / "2")
    keeper.look()
    assert keeper.current.number == 1
    shutil.rmtree(folder / "1")
    keeper.look()
    shutil.rmtree(folder)
    keeper.look()
    assert keeper.current.number == 1


def test_files_of_the_served_version_that_change_later_change_no_answer(folder):
    write_version(folder / "2", bias=0.2)
    keeper = Keeper(folder)
    keeper.look()
    served = keeper.current
    flip_a_byte(folder / "2")
    keeper.look()
    assert keeper.current is served
    assert "model.onnx is not the file" in keeper.refused[2]


def test_other_folders_are_no_versions(folder):
    for name in ("02", "v3", ".4", "5.tmp", "-6", "9" * 40):
        (folder / name).mkdir()
    keeper = Keeper(folder)
    keeper.look()
    assert keeper.current.number == 1
    assert keeper.refused == {}


def test_the_server_says_which_versions_are_refused_and_why(folder):
    write_version(folder / "2")
    flip_a_byte(folder / "2")
    with serve(folder) as server:
        states = server.ask("/v1/models/tiny")[1]["model_version_status"]
        assert [(s["version"], s["state"]) for s in states] == [("2", "END"), ("1", "AVAILABLE")]
        assert "model.onnx" in states[0]["status"]["error_message"]
        assert server.ask("/v1/models/tiny/versions/2:predict", {})[0] == 404
        assert 'mtl_versions_total{event="refused",model="tiny"} 1.0' in server.ask("/metrics")[1]


def test_a_server_without_a_version_is_alive_and_not_ready(folder):
    shutil.move(folder / "1", folder / ".1")
    with serve(folder, is_ready=False) as server:
        assert server.ask("/v2/health/live")[0] == 200
        assert server.ask("/v2/health/ready")[0] == 503
        status, content = server.ask(PREDICT, {"instances": [ONE_ROW]})
        assert (status, content["error"]) == (503, "no version of the model is loaded.")
        shutil.move(folder / ".1", folder / "1")
        wait_for(lambda: server.ask("/v2/health/ready")[0] == 200)
        assert server.ask(PREDICT, {"instances": [ONE_ROW]})[0] == 200


def test_versions_change_under_load_without_an_error_and_each_answer_is_of_one_version(folder):
    answers, stop = [], threading.Event()

    def ask_on(server):
        while not stop.is_set():
            answers.append(server.ask("/v2/models/tiny/infer", body))

    body = {
        "inputs": [
            {"name": "worker", "shape": [3, 1], "datatype": "BYTES", "data": ROWS["worker"]},
            {"name": "age", "shape": [3, 1], "datatype": "FP32", "data": ROWS["age"]},
            {"name": "weeks", "shape": [3, 1], "datatype": "INT64", "data": ROWS["weeks"]},
        ],
        "outputs": [{"name": "income"}],
    }
    with serve(folder) as server:
        threads = [threading.Thread(target=ask_on, args=(server,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        wait_for(lambda: answers)
        for number in range(2, 8):
            write_version(folder / str(number), bias=number / 10)
            wait_for(lambda n=str(number): answers[-1][1].get("model_version") == n)
        stop.set()
        for thread in threads:
            thread.join()
    assert {status for status, _ in answers} == {200}
    versions = [int(content["model_version"]) for _, content in answers]
    assert {*versions} == {*range(1, 8)}
    for version, (_, content) in zip(versions, answers, strict=True):
        expected = reference(ROWS, version / 10)["income"].ravel()
        np.testing.assert_allclose(content["outputs"][0]["data"], expected, atol=1e-6)


def test_the_contract_of_the_helper_is_that_of_its_graph():
    names = {value.name for value in graph().graph.output}
    assert names == {*interface().signatures["serving_default"].outputs}


def new_key(place):
    """Writes a key pair; returns the files of the private and of the public key."""
    key = Ed25519PrivateKey.generate()
    files = place / "private.pem", place / "public.pem"
    place.mkdir()
    files[0].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    files[1].write_bytes(
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    return files


def test_with_public_keys_versions_must_be_signed_by_one_of_them(folder, tmp_path):
    (private, public), (foreign, _) = (new_key(tmp_path / name) for name in ("one", "two"))
    _, other = new_key(tmp_path / "other")
    keys = [str(other), str(public)]
    keeper = Keeper(folder, load=functools.partial(load_version, public_keys=keys))
    keeper.look()
    assert keeper.current is None and "is not signed" in keeper.refused[1]
    sign(folder / "1", private)  # a signature is a change of the version
    keeper.look()
    assert keeper.current.number == 1
    for number, key in ((2, foreign), (3, private)):
        write_version(folder / f".{number}")
        sign(folder / f".{number}", key)
    put_model(lambda: graph(0.4))(folder / ".3")  # with a new manifest, after it was signed
    for number in (2, 3):
        (folder / f".{number}").rename(folder / str(number))
    keeper.look()
    assert keeper.current.number == 1 and set(keeper.refused) == {2, 3}


def test_a_server_does_not_start_with_a_key_that_is_none(folder, tmp_path):
    (tmp_path / "key.pem").write_text("no key")
    with pytest.raises(ValueError, match=r"key\.pem"):
        Application(folder, Settings(public_keys=(str(tmp_path / "key.pem"),)))
