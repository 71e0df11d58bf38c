"""A version is refused unless it is, file by file, the one that was exported."""

import json
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from keras_mtl.export import RefusedVersion
from keras_mtl.export._beside._interface import InputSpec, read_interface
from keras_mtl.export._beside._manifest import FILE, add_file, check_manifest, write_manifest
from keras_mtl.export._beside._recorded import Recorded, read_recorded, write_recorded


@pytest.fixture
def folder(tmp_path):
    """Makes a version of two files."""
    version = tmp_path / "model" / "1"
    (version / "variables").mkdir(parents=True)
    (version / "saved_model.pb").write_bytes(b"graph")
    (version / "variables" / "data").write_bytes(bytes(range(200)))
    write_manifest(version)
    return version


def change_manifest(folder, change):
    content = json.loads((folder / FILE).read_text())
    change(content)
    (folder / FILE).write_text(json.dumps(content))


def test_a_whole_version_passes_and_says_what_wrote_it(folder):
    manifest = check_manifest(folder)
    assert set(manifest.files) == {"saved_model.pb", "variables/data"}
    assert manifest.files["saved_model.pb"].bytes == 5
    # printf graph | sha256sum
    assert manifest.files["saved_model.pb"].sha256.startswith("eef93e1d14482804")
    assert set(manifest.versions) == {"keras_mtl", "keras", "tensorflow"}
    link = folder.parent / "latest"
    link.symlink_to(folder)
    assert check_manifest(link) == manifest


@pytest.mark.parametrize("place", range(0, 200, 33))
def test_a_changed_byte_is_refused(folder, place):
    content = bytearray((folder / "variables" / "data").read_bytes())
    content[place] ^= 1
    (folder / "variables" / "data").write_bytes(content)
    with pytest.raises(RefusedVersion, match=r"data is not the file that was exported.*SHA-256"):
        check_manifest(folder)


def test_a_file_that_is_cut_short_is_refused(folder):
    (folder / "variables" / "data").write_bytes(bytes(range(199)))
    with pytest.raises(RefusedVersion, match=r"says 200 bytes .* received 199 bytes\."):
        check_manifest(folder)


def test_a_missing_file_is_refused(folder):
    (folder / "saved_model.pb").unlink()
    with pytest.raises(RefusedVersion, match=r"names \['saved_model.pb'\], which are not there"):
        check_manifest(folder)


@pytest.mark.parametrize("name", ["more.txt", "variables/.hidden", ".manifest.json.writing"])
def test_an_extra_file_is_refused(folder, name):
    (folder / name).write_text("more")
    with pytest.raises(RefusedVersion, match=r"which its manifest.json does not name"):
        check_manifest(folder)


@pytest.mark.parametrize(
    "name",
    ["../secret", "/etc/passwd", "a/../../secret", "variables//data", "a\\b", "manifest.json"],
)
def test_a_path_that_leaves_the_folder_is_refused(folder, name):
    (folder.parent / "secret").write_text("graph")

    def change(content):
        content["files"][name] = content["files"]["saved_model.pb"]

    change_manifest(folder, change)
    with pytest.raises(RefusedVersion, match="must name files of its own folder"):
        check_manifest(folder)


@pytest.mark.parametrize("name", ["saved_model.pb", "variables", FILE])
def test_a_symbolic_link_is_refused(folder, name):
    (folder / name).rename(folder.parent / "moved")
    (folder / name).symlink_to(folder.parent / "moved")
    with pytest.raises(RefusedVersion, match="is a symbolic link"):
        check_manifest(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.pop("files"),
        lambda content: content.update(files={}),
        lambda content: content.update(files=["saved_model.pb"]),
        lambda content: content["files"].update({"saved_model.pb": "abc"}),
        lambda content: content.update(format=2),
    ],
)
def test_a_manifest_that_is_not_whole_is_refused(folder, change):
    change_manifest(folder, change)
    with pytest.raises(RefusedVersion, match=r"manifest.json"):
        check_manifest(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000, b"\xff\xfe"])
def test_a_manifest_that_is_no_json_object_is_refused(folder, text):
    (folder / FILE).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(RefusedVersion, match=r"manifest.json"):
        check_manifest(folder)


def test_a_folder_without_a_manifest_is_refused(folder):
    (folder / FILE).unlink()
    with pytest.raises(RefusedVersion, match=r"has no manifest.json"):
        check_manifest(folder)


def test_a_new_manifest_names_added_files_and_drops_the_old_signature(folder):
    (folder / "model.onnx").write_bytes(b"more")
    (folder / "manifest.sig").write_bytes(b"signature of the old one")
    write_manifest(folder)
    assert "model.onnx" in check_manifest(folder).files
    assert not (folder / "manifest.sig").exists()


def added(folder, text, name="model.onnx"):
    source = folder.parent / ".added"
    source.write_bytes(text)
    add_file(folder, name, source)


def test_a_version_is_whole_at_every_step_of_adding_a_file(folder, monkeypatch):
    replace, steps = os.replace, []

    def watched(source, target):
        before = check_manifest(folder)
        replace(source, target)
        steps.append((sorted(before.files), sorted(check_manifest(folder).files)))

    monkeypatch.setattr(os, "replace", watched)
    added(folder, b"one")
    old, new = ["saved_model.pb", "variables/data"], ["model.onnx", "saved_model.pb"]
    new.append("variables/data")
    assert steps == [(old, old), (old, new), (new, new)]
    added(folder, b"two")  # of the same length
    added(folder, b"another graph", "saved_model.pb")
    assert len(steps) == 9
    assert "coming" not in json.loads((folder / FILE).read_text())
    assert [path.name for path in folder.parent.iterdir()] == ["1"]


@pytest.mark.parametrize("name", ["model.onnx", "saved_model.pb"])
@pytest.mark.parametrize("step", [0, 1, 2])
def test_a_kill_at_any_step_of_adding_a_file_leaves_a_whole_version(
    folder, monkeypatch, step, name
):
    replace, steps = os.replace, []

    def killed(source, target):
        if len(steps) == step:
            raise KeyboardInterrupt
        steps.append(target)
        replace(source, target)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "replace", killed)
        added(folder, b"added", name)
    files = check_manifest(folder).files
    is_there = name in files and files[name].bytes == 5 and (folder / name).read_bytes() == b"added"
    assert is_there == (step == 2)
    with pytest.raises(RefusedVersion, match="is not the file that was exported"):
        (folder / "variables" / "data").write_bytes(b"x" * 200)
        check_manifest(folder)
    (folder / "variables" / "data").write_bytes(bytes(range(200)))
    added(folder, b"other", "more.txt")  # the file that was on its way is settled
    assert {"more.txt", *files} == {*check_manifest(folder).files}
    with pytest.raises(RefusedVersion, match=r"which its manifest\.json does not name|is not the"):
        (folder / "model.onnx").write_bytes(b"no one")
        check_manifest(folder)


def test_readers_never_refuse_a_version_to_which_two_processes_add_files(folder):
    stopped, results = threading.Event(), []

    def read_on():
        while not stopped.is_set():
            try:
                check_manifest(folder)
                results.append("whole")
            except RefusedVersion as error:
                results.append(str(error))

    def add_on(name):
        source = folder.parent / f".{name}"
        for number in range(30):
            source.write_bytes(b"%d" % number * 1000)
            add_file(folder, name, source)

    reader = threading.Thread(target=read_on)
    writers = [threading.Thread(target=add_on, args=(name,)) for name in ("a.onnx", "b.tflite")]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    stopped.set()
    reader.join()
    assert {*results} == {"whole"} and len(results) > 20
    assert {"a.onnx", "b.tflite"} <= {*check_manifest(folder).files}


def test_a_file_that_is_on_its_way_is_no_way_out_of_the_folder(folder):
    def change(content):
        content["coming"] = {"../secret": content["files"]["saved_model.pb"]}

    change_manifest(folder, change)
    with pytest.raises(RefusedVersion, match="must name files of its own folder"):
        check_manifest(folder)


def test_outputs_json_must_describe_what_it_names(folder):
    task = dict.fromkeys(
        ["kind", "shape", "dtype", "columns", "classes", "logits", "threshold", "decision", "scale"]
    )
    signature = {"inputs": ["x"], "outputs": ["z"]}
    content = {
        "format": 1,
        "inputs": {"x": {"dtype": "float32", "shape": [None, 2], "filled": False}},
        "signatures": {"serving_default": signature, "z": signature},
        "tasks": {"z": {**task, "signature": "z"}},
    }

    def write(**changes):
        (folder / "outputs.json").write_text(json.dumps({**content, **changes}))
        return read_interface(folder)

    assert write().inputs["x"] == InputSpec("float32", (None, 2), False)
    with pytest.raises(RefusedVersion, match=r"answers \['y'\], which are no tasks"):
        write(signatures={"serving_default": {"inputs": ["x"], "outputs": ["y"]}, "z": signature})
    with pytest.raises(RefusedVersion, match=r"describes no signature \['z'\]"):
        write(signatures={"serving_default": signature})
    with pytest.raises(RefusedVersion, match="is not complete: KeyError 'kind'"):
        write(tasks={"z": {"signature": "z"}})


def test_recorded_rows_come_back_as_they_were(tmp_path):
    words = np.empty((2, 1), object)
    words[:] = [["Zürich"], [b"\xff\x00"]]
    inputs = {"x": np.array([[0.1], [1e-8]], np.float32), "n": np.array([3, -1]), "words": words}
    write_recorded(tmp_path, inputs, {"z": np.array([[0.3], [np.nan]], np.float32)})
    specs = {
        name: InputSpec(kind, (None,), False)
        for name, kind in zip(["x", "n", "words"], ["float32", "int64", "string"], strict=True)
    }
    read = read_recorded(tmp_path)
    rows = read.arrays(specs)
    assert rows["x"].dtype == np.float32 and np.array_equal(rows["x"], inputs["x"])
    assert rows["n"].dtype == np.int64 and np.array_equal(rows["n"], inputs["n"])
    assert rows["words"].tolist() == [["Zürich"], [b"\xff\x00"]]
    assert read.check({"z": np.array([[0.3 + 5e-6], [np.nan]])}) == pytest.approx(5e-6, rel=0.01)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ([[0.3], [5000.06]], "largest difference"),
        ([[0.30002], [5000.0]], "largest difference is 2e-05"),
        ([[np.nan], [5000.0]], "largest difference is nan"),
        ([0.3, 5000.0], "has the shape"),
    ],
)
def test_other_answers_are_refused(answer, message):
    recorded = Recorded(1e-5, {}, {"z": [[0.3], [5000.0]]})
    assert recorded.check({"z": [[0.3], [5000.04]]}) < 1e-5  # of the larger of 1 and the number
    with pytest.raises(RefusedVersion, match=message):
        recorded.check({"z": answer})
    with pytest.raises(RefusedVersion, match=r"output 'y' was not recorded"):
        recorded.check({"y": answer})


READ = """
import sys, types
for name in ("keras", "tensorflow"):
    sys.modules[name] = None  # an import of it fails
package = types.ModuleType("keras_mtl")
package.__path__ = [sys.argv[1]]
sys.modules["keras_mtl"] = package
from keras_mtl.export._beside import _interface, _manifest, _recorded
print(sorted(_manifest.check_manifest(sys.argv[2]).files))
"""


def test_the_readers_need_neither_keras_nor_tensorflow(folder):
    import keras_mtl

    command = [sys.executable, "-c", READ, *keras_mtl.__path__, str(folder)]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert process.stdout == "['saved_model.pb', 'variables/data']\n", process.stderr
