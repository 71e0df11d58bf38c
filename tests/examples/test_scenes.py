"""Scenes: geometry by another road, baselines and figures, and the whole system, small."""

import pathlib
import sys

import numpy as np
import pytest

sys.path.append(str(pathlib.Path(__file__).parents[2] / "examples" / "systems"))

from scenes import __main__ as program
from scenes import measures, networks, nyuv2, rooms


@pytest.fixture(scope="module")
def scenes():
    return rooms.make(12, 0)


def test_normals_are_those_of_the_surface_that_depths_draw(scenes):
    _, labels = scenes
    points = np.exp(labels["depth"]) * rooms._rays(rooms.SIZE)  # (scenes, size, size, 3)
    right = points[:, 1:-1, 2:] - points[:, 1:-1, :-2]
    down = points[:, 2:, 1:-1] - points[:, :-2, 1:-1]
    normal = np.cross(down, right)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    parts = labels["parts"]
    middle, neighbors = parts[:, 1:-1, 1:-1], [parts[:, 1:-1, 2:], parts[:, 1:-1, :-2]]
    neighbors += [parts[:, 2:, 1:-1], parts[:, :-2, 1:-1]]
    inside = np.all([near == middle for near in neighbors], axis=0)
    cosine = (normal * labels["normals"][:, 1:-1, 1:-1]).sum(-1)
    for part in range(2):  # planes: exact
        np.testing.assert_allclose(cosine[inside & (middle == part)], 1, atol=1e-3)
    for part in (2, 3):  # curved, or with edges inside
        assert np.median(cosine[inside & (middle == part)]) > 0.97
    assert (labels["normals"] * rooms._rays(rooms.SIZE)).sum(-1).max() < 0  # towards the camera


def test_a_perfect_answer_has_perfect_figures_and_unlabeled_pixels_do_not_count(scenes):
    _, labels = scenes
    labels = {name: values.astype("float32") for name, values in labels.items()}
    guess = {"parts": np.eye(4)[labels["parts"].astype(int)]} | {
        name: labels[name].copy() for name in ("depth", "normals")
    }
    labels["parts"][0], labels["depth"][0], labels["normals"][0] = np.nan, np.nan, np.nan
    guess["depth"] += np.float32(np.log(1.1))
    figures = list(measures.figures(guess, labels).values())
    np.testing.assert_allclose(figures, [1, 1, 10, 0, 1], atol=0.1)


def test_nyuv2_is_read_with_what_is_unknown_as_missing(tmp_path):
    rng = np.random.default_rng(0)
    for kind, shape in {"image": (8, 12, 3), "label": (8, 12), "depth": (8, 12, 1)}.items():
        (tmp_path / "train" / kind).mkdir(parents=True)
        for k in range(11):
            array = rng.integers(0, 13, shape) if kind == "label" else rng.random(shape) + 1
            np.save(tmp_path / "train" / kind / f"{k}.npy", array)
    (tmp_path / "train" / "normal").mkdir()
    for k in range(11):
        np.save(tmp_path / "train" / "normal" / f"{k}.npy", np.full((8, 12, 3), k / 10))
    label = np.load(tmp_path / "train" / "label" / "10.npy")
    label[0, 4] = -1
    np.save(tmp_path / "train" / "label" / "10.npy", label)
    images, labels = nyuv2.read(tmp_path, "train", step=4)
    assert images.shape == (11, 2, 3, 3) and labels["depth"].shape == (11, 2, 3, 1)
    assert np.isnan(labels["parts"][10, 0, 1]) and np.isnan(labels["parts"]).sum() == 1
    assert np.isnan(labels["normals"][0]).all()  # 10.npy is the last one, not the second
    np.testing.assert_allclose(labels["normals"][10], 1)
    with pytest.raises(FileNotFoundError, match=r"expected 0\.npy"):
        nyuv2.read(tmp_path, "val")


def test_a_network_is_trained_with_unlabeled_pixels_and_answers_every_pixel(scenes):
    images, labels = scenes
    labels = labels | {"parts": np.where(labels["parts"] == 1, np.nan, labels["parts"])}
    tasks = networks.make_tasks(4)
    network = networks.train("hard sharing", tasks, images, labels, epochs=1)
    guess = networks.predict([network], images)
    np.testing.assert_allclose(np.linalg.norm(guess["normals"], axis=-1), 1, atol=1e-3)
    assert np.isfinite(list(measures.figures(guess, scenes[1]).values())).all()


@pytest.mark.slow
def test_all_contenders_are_measured_and_one_is_shown(tmp_path, capsys):
    rows = program.main(["measure", "--scenes", "16", "--epochs", "1", "--seeds", "1"])
    assert list(rows)[2:] == list(program.NAMES)
    model = ["--model", str(tmp_path / "rooms"), "--picture", str(tmp_path / "scene.png")]
    program.main(["train", *model, "--scenes", "16", "--epochs", "1", "--network", "PAD-Net"])
    program.main(["show", *model])
    assert (tmp_path / "scene.png").stat().st_size > 5000
    assert "| linear, on patches |" in capsys.readouterr().out
