"""Builders on small files in the publishers' formats."""

import gzip
import tarfile

import numpy as np
import pytest
import tensorflow_datasets as tfds

from keras_mtl import datasets
from keras_mtl.data import check_dataset, mask_missing, mixture
from keras_mtl.datasets._multi_mnist import check_sum, overlay, read_idx

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def quiet():
    tfds.disable_progress_bar()


def rows_of(dataset):
    return list(dataset.as_numpy_iterator())


def write_idx(path, array):
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
    path.write_bytes(gzip.compress(header + array.tobytes()))


@pytest.mark.parametrize("name", ["mnist", "fashion"])
def test_each_image_lies_once_on_the_left_and_once_on_the_right(name, tmp_path):
    images, labels = {}, {}
    for split, size in {"train": 30, "t10k": 5}.items():
        images[split] = RNG.integers(0, 256, (size, 28, 28)).astype("uint8")
        labels[split] = RNG.integers(0, 10, size).astype("uint8")
        write_idx(tmp_path / f"{split}-images-idx3-ubyte.gz", images[split])
        write_idx(tmp_path / f"{split}-labels-idx1-ubyte.gz", labels[split])
    load = datasets.multi_mnist if name == "mnist" else datasets.multi_fashion
    rows = rows_of(load("train", data_dir=tmp_path / "out", manual_dir=tmp_path))
    assert len(rows) == 30
    assert [y["left"] for _, y in rows] == labels["train"].tolist()
    assert sorted(y["right"] for _, y in rows) == sorted(labels["train"].tolist())
    # The top row and the left column are of the left image alone, up to the blur of resizing.
    for (image, y), left in zip(rows, images["train"], strict=True):
        assert image.shape == (28, 28, 1)
        partners = [
            right
            for right, label in zip(images["train"], labels["train"], strict=True)
            if label == y["right"] and (overlay(left[None], right[None])[0] == image).all()
        ]
        assert len(partners) == 1
    test = load("test", data_dir=tmp_path / "out", manual_dir=tmp_path)
    assert test.cardinality() == 5
    check_dataset(test.batch(5), datasets.multi_mnist_tasks())


def test_the_brighter_pixel_is_kept_where_images_overlap():
    left, right = RNG.integers(0, 256, (2, 3, 28, 28)).astype("uint8")
    canvas = np.zeros((3, 36, 36))
    canvas[:, :28, :28] = left
    canvas[:, 6:34, 6:34] = np.maximum(canvas[:, 6:34, 6:34], right)
    # Bilinear with antialiasing: the weights are a triangle, 36/28 pixels wide on each side.
    scale = 36 / 28
    centers = (np.arange(28) + 0.5) * scale - 0.5
    weights = np.maximum(0, 1 - np.abs(np.arange(36) - centers[:, None]) / scale)
    weights /= weights.sum(1, keepdims=True)
    expected = np.einsum("ia,nab,jb->nij", weights, canvas, weights)
    np.testing.assert_allclose(overlay(left, right)[..., 0], expected, atol=0.51)


def test_a_file_that_is_not_in_the_idx_format_is_refused(tmp_path):
    whole = tmp_path / "whole"
    write_idx(whole, np.zeros((2, 3), "uint8"))
    assert read_idx(whole).shape == (2, 3)
    for contents in (b"no idx", gzip.decompress(whole.read_bytes())[:-1], b"\0\0\x08\0"):
        (tmp_path / "broken").write_bytes(contents)
        with pytest.raises(ValueError, match="broken is no idx file"):
            read_idx(tmp_path / "broken")


def test_a_download_with_another_checksum_is_refused(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"abc")
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # of FIPS 180-4
    check_sum(path, known, "f.gz")
    path.write_bytes(b"abd")
    with pytest.raises(ValueError, match=r"f\.gz has the SHA-256 .*; expected ba7816bf"):
        check_sum(path, known, "f.gz")


MOLECULES = [("CCO", ["1", "", "0"]), ("C", ["0.0", "1.0", ""])] * 10


@pytest.mark.parametrize("name", ["tox21", "toxcast"])
def test_assays_that_were_not_run_are_missing(name, tmp_path):
    assays = [f"assay {index}" for index in range({"tox21": 12, "toxcast": 617}[name])]
    lines = [",".join(["smiles", *assays, "mol_id"])]
    for smiles, outcomes in MOLECULES:
        lines.append(",".join([smiles, *(outcomes * len(assays))[: len(assays)], "TOX1"]))
    file = {"tox21": "tox21.csv.gz", "toxcast": "toxcast_data.csv"}[name]
    text = "\n".join(lines).encode()
    (tmp_path / file).write_bytes(gzip.compress(text) if file.endswith("gz") else text)
    load, tasks = getattr(datasets, name), getattr(datasets, f"{name}_tasks")()
    seen = []
    for split, size in {"train": 16, "validation": 2, "test": 2}.items():
        dataset = load(split, data_dir=tmp_path / "out", manual_dir=tmp_path)
        assert dataset.cardinality() == size
        seen += rows_of(dataset)
    assert sorted(x for x, _ in seen) == [b"C"] * 10 + [b"CCO"] * 10
    for x, y in seen:
        expected = [1, np.nan, 0] if x == b"CCO" else [0, 1, np.nan]
        np.testing.assert_array_equal(y["toxicity"][:3], np.array(expected, "float32"))
    masked = mask_missing(dataset.batch(2), tasks)
    check_dataset(masked, tasks)


def test_words_slots_and_intents_of_snips_stay_together(tmp_path):
    commands = {
        "train": [
            "play some music|O O B-music_item|PlayMusic",
            "rate it 1 |O O B-rating_value|RateBook",
        ],
        "valid": ["weather|O|GetWeather"],
        "test": ["find café|O B-poi|SearchCreativeWork"],
    }
    with tarfile.open(tmp_path / "snips.tar.xz", "w:xz") as archive:
        for split, lines in commands.items():
            folder = tmp_path / "snips_files" / split
            folder.mkdir(parents=True)
            for position, file in enumerate(("seq.in", "seq.out", "label")):
                contents = "".join(line.split("|")[position] + "\n" for line in lines)
                (folder / file).write_text(contents)
            archive.add(folder, f"./snips/{split}")
    slots = datasets.Snips(data_dir=tmp_path).info.features["labels"]["slots"].feature
    intents = datasets.Snips(data_dir=tmp_path).info.features["labels"]["intent"]
    read = set()
    for split in ("train", "validation", "test"):
        dataset = datasets.snips(split, data_dir=tmp_path / "out", manual_dir=tmp_path)
        for words, y in rows_of(dataset):
            tags = " ".join(slots.int2str(int(tag)) for tag in y["slots"])
            text = b" ".join(words).decode()
            read.add(f"{text}|{tags}|{intents.int2str(int(y['intent']))}")
    assert read == {line.replace(" |", "|") for lines in commands.values() for line in lines}


def test_tags_of_the_treebank_belong_to_their_words(tmp_path):
    (tmp_path / "ewt_pos_ner").mkdir()
    for part in ("train", "dev", "test"):
        text = f'{part}\tPROPN\tB-PER\nX\tPROPN\tI-PER\n"\tPUNCT\tO\n\nrun\tVERB\tO\n\n'
        (tmp_path / "ewt_pos_ner" / f"joint_{part}.tsv").write_text(text)
    rows = rows_of(datasets.ewt_pos_ner("validation", data_dir=tmp_path / "o", manual_dir=tmp_path))
    words, y = max(rows, key=lambda row: len(row[0]))
    assert words.tolist() == [b"dev", b"X", b'"']
    assert y["pos"].tolist() == [11, 11, 12]
    assert y["ner"].tolist() == [3, 6, 0]
    assert len(rows) == 2


def test_reviews_of_all_domains_mix_into_one_stream(tmp_path):
    (tmp_path / "fdu_mtl").mkdir()
    names = [task.name for task in datasets.fdu_mtl_tasks()]
    for place, name in enumerate(names):
        text = f"1\t good {name} \x85 one\n" * 2 + f"0\tbad {name}\n" * (1 + place % 2)
        for split in ("train", "test"):
            (tmp_path / "fdu_mtl" / f"{name}.task.{split}").write_bytes(text.encode() + b"\n")
    sets = datasets.fdu_mtl("train", data_dir=tmp_path / "out", manual_dir=tmp_path)
    assert list(sets) == names
    mixed = mixture(sets, datasets.fdu_mtl_tasks(), batch_size=16)
    count = 0
    for x, y, w in mixed.unbatch().as_numpy_iterator():
        (domain,) = [name for name in names if w[name]]
        assert x.decode().split()[1] == domain
        assert y[domain] == x.startswith(b"good")
        count += 1
    assert count == 56


def test_days_up_to_the_19th_are_for_training(tmp_path):
    titles = "instant,dteday,season,yr,mnth,hr,holiday,weekday,workingday,weathersit,temp,atemp,hum"
    lines = [titles + ",windspeed,casual,registered,cnt"]
    for day in (1, 19, 20, 31):
        hour = {1: 23, 19: "0 "}.get(day, 23)  # Some copies of the file pad hours.
        lines.append(f"{day},2011-01-{day:02},1,0,1,{hour},0,6,0,4,0.24,0.28,0.81,0,{day},13,16")
    (tmp_path / "hour.csv").write_text("\n".join(lines))
    days = {}
    for split in ("train", "test"):
        dataset = datasets.bike_sharing(split, data_dir=tmp_path / "out", manual_dir=tmp_path)
        check_dataset(dataset.batch(2), datasets.bike_sharing_tasks())
        rows = rows_of(dataset)
        days[split] = [int(y["casual"]) for _, y in rows]
    assert days == {"train": [1, 19], "test": [20, 31]}
    x, y = rows[0]
    assert x["weathersit"] == b"4" and x["hr"] == b"23" and x["yr"] == b"0"
    assert x["hum"] == np.float32(0.81)
    assert y["registered"] == 13


@pytest.mark.parametrize("style", ["publisher", "commas"])
def test_concentrations_of_minus_200_are_missing_and_sensors_keep_their_last_value(style, tmp_path):
    table = np.arange(10 * 13).reshape(10, 13) + 0.5
    table[3, 0] = table[4, 1] = table[5, 1] = -200  # one label, and one sensor twice
    lines = ["Date,Time," + ",".join(["title"] * 13)]
    lines += [",".join(["10/03/2004", "18:00:00", *map(str, row)]) for row in table]
    if style == "publisher":
        lines = [line.replace(",", ";").replace(".", ",") + ";;" for line in lines] + [";" * 16]
    file = {"publisher": "AirQualityUCI.csv", "commas": "air_quality.csv.gz"}[style]
    text = "\n".join(lines).encode()
    (tmp_path / file).write_bytes(gzip.compress(text) if file.endswith("gz") else text)
    train = rows_of(datasets.air_quality("train", data_dir=tmp_path / "out", manual_dir=tmp_path))
    assert len(train) == 8
    assert np.isnan([y["co"] for _, y in train]).tolist() == [row == 3 for row in range(8)]
    assert [x[0] for x, _ in train] == [*table[:4, 1], *[table[3, 1]] * 2, *table[6:8, 1]]
    assert [y["no2"] for _, y in train] == table[:8, 7].tolist()


def test_penguins_ship_with_the_package(tmp_path):
    parts = {
        split: rows_of(datasets.penguins(split, data_dir=tmp_path)) for split in ("train", "test")
    }
    assert {split: len(rows) for split, rows in parts.items()} == {"train": 276, "test": 68}
    rows = parts["train"] + parts["test"]
    labels = {name: np.array([y[name] for _, y in rows]) for name in ("species", "male", "mass")}
    assert np.bincount(labels["species"]).tolist() == [152, 68, 124]
    assert np.sum(labels["male"] == -1) == 11
    assert np.isnan(labels["mass"]).sum() == 2
    assert np.nanmean(labels["mass"]) == pytest.approx(4.2017, abs=1e-3)
    x, y = parts["train"][0]
    assert (x["island"], x["bill_length_mm"], y["mass"]) == (b"Torgersen", np.float32(39.1), 3.75)
    assert all(np.isfinite(x["flipper_length_mm"]) for x, _ in rows)
    tasks = datasets.penguins_tasks()
    check_dataset(mask_missing(datasets.penguins(data_dir=tmp_path).batch(9), tasks), tasks)


@pytest.mark.parametrize(
    "name", ["tox21", "toxcast", "snips", "ewt_pos_ner", "bike_sharing", "air_quality"]
)
def test_the_error_names_files_that_are_missing(name, tmp_path):
    with pytest.raises(FileNotFoundError, match=rf"{name}: .*holds none of .*Put it there"):
        getattr(datasets, name)("train", data_dir=tmp_path, manual_dir=tmp_path)


def test_archives_are_found_beside_a_folder_of_prepared_data(tmp_path):
    (tmp_path / "files").mkdir()
    for part in ("train", "dev", "test"):
        (tmp_path / "files" / f"joint_{part}.tsv").write_text("run\tVERB\tO\n\n")
    with tarfile.open(tmp_path / "ewt_pos_ner.tar.xz", "w:xz") as archive:
        archive.add(tmp_path / "files", "./ewt_pos_ner")
    for split in ("train", "test"):  # The first one prepares tmp_path / "ewt_pos_ner".
        assert len(datasets.ewt_pos_ner(split, data_dir=tmp_path, manual_dir=tmp_path)) == 1


def test_files_of_another_kind_are_refused(tmp_path):
    (tmp_path / "tox21.csv").write_text("smiles,one\nC,1\n")
    with pytest.raises(ValueError, match=r"tox21\.csv has 1 assays; expected 12"):
        datasets.tox21("train", data_dir=tmp_path, manual_dir=tmp_path)
    (tmp_path / "hour.csv").write_text("dteday,hr\n2011-01-01,1\n")
    with pytest.raises(ValueError, match=r"hour\.csv has no column\(s\) \['atemp', 'casual'"):
        datasets.bike_sharing("train", data_dir=tmp_path, manual_dir=tmp_path)
    (tmp_path / "snips" / "train").mkdir(parents=True)
    (tmp_path / "snips" / "train" / "seq.in").write_text("play")
    with pytest.raises(FileNotFoundError, match=r"lacks \['train/seq.out', 'train/label', 'valid"):
        datasets.snips("train", data_dir=tmp_path, manual_dir=tmp_path)


def test_every_builder_states_its_license_and_citation(tmp_path):
    for name in datasets.__all__:
        builder = getattr(datasets, name)
        if isinstance(builder, type) and issubclass(builder, tfds.core.DatasetBuilder):
            info = builder(data_dir=tmp_path).info
            assert info.citation.startswith("@")
            assert "License" in info.description


def test_every_dataset_has_tasks():
    for name in datasets.__all__:
        if f"{name}_tasks" in datasets.__all__:
            assert getattr(datasets, f"{name}_tasks")()
