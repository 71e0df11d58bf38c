"""Small made-up files in the formats of the real data sets, so that examples run anywhere."""

import csv
import gzip
import pathlib
import random

import numpy as np

TOPICS = ("world", "sports", "business", "science")
COMMANDS = {  # words with their slots
    "PlayMusic": "play/O some/O {genre}/B-genre by/O {artist}/B-artist",
    "RateBook": "give/O {object}/B-object_name {number}/B-rating_value stars/B-rating_unit",
    "GetWeather": "will/O it/O rain/B-condition_description in/O {city}/B-city",
}
FILLERS = {
    "genre": ["jazz", "rock", "techno"],
    "artist": ["Ella", "Miles", "Björk"],
    "object": ["Dune", "Emma", "Ulysses"],
    "number": ["one", "two", "five"],
    "city": ["Rome", "Oslo", "Lima"],
}
TAGGED = [
    "{artist}/PROPN/B-PER lives/VERB/O in/ADP/O {city}/PROPN/B-LOC ././PUNCT/O",
    "{artist}/PROPN/B-PER Smith/PROPN/I-PER likes/VERB/O {genre}/NOUN/O ././PUNCT/O",
]


def _filled(rng, template):
    return template.format(**{name: rng.choice(words) for name, words in FILLERS.items()})


def _write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def write_snips(folder, rows=48):
    """Writes commands with intents and slots, in the files of SNIPS."""
    rng = random.Random(0)
    for split in ("train", "valid", "test"):
        intents = rng.choices(list(COMMANDS), k=rows)
        texts = [_filled(rng, COMMANDS[intent]).split() for intent in intents]
        pairs = [[word.split("/") for word in text] for text in texts]
        parts = {
            "seq.in": [" ".join(word for word, _ in pair) for pair in pairs],
            "seq.out": [" ".join(slot for _, slot in pair) for pair in pairs],
            "label": intents,
        }
        for name, lines in parts.items():
            _write(pathlib.Path(folder, "snips", split, name), "\n".join(lines) + "\n")


def write_treebank(folder, rows=32):
    """Writes sentences with parts of speech and entities, one word per line."""
    rng = random.Random(0)
    for part in ("train", "dev", "test"):
        sentences = [_filled(rng, rng.choice(TAGGED)).split() for _ in range(rows)]
        text = "".join(
            "".join("\t".join(word.rsplit("/", 2)) + "\n" for word in sentence) + "\n"
            for sentence in sentences
        )
        _write(pathlib.Path(folder, "ewt_pos_ner", f"joint_{part}.tsv"), text)


def write_digits(folder, columns=False):
    """Writes images of 28 x 28 pixels in the files of MNIST; class k is a bright row, or column."""
    rng = np.random.default_rng(0)
    for split, rows in {"train": 256, "t10k": 64}.items():
        labels = rng.integers(0, 10, rows).astype(np.uint8)
        images = rng.integers(0, 64, (rows, 28, 28)).astype(np.uint8)
        for image, place in zip(images, 2 * labels + 4, strict=True):
            image[(slice(None), place) if columns else place] = 255
        for kind, array in {"images-idx3": images, "labels-idx1": labels}.items():
            header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
            pathlib.Path(folder, f"{split}-{kind}-ubyte").write_bytes(header + array.tobytes())


def write_assays(folder, rows=200, assays=12, name="tox21.csv"):
    """Writes molecules and assays that look for a part of them; one assay in three was not run."""
    rng = random.Random(0)
    lines = [["smiles", *(f"assay {k}" for k in range(assays))]]
    for _ in range(rows):
        smiles = "".join(rng.choices(["C", "N", "O", "c1ccccc1", "Cl", "(=O)"], k=8))
        hits = [int(("Cl" if k % 2 else "N") in smiles) for k in range(assays)]
        lines.append([smiles, *("" if rng.random() < 1 / 3 else hit for hit in hits)])
    with pathlib.Path(folder, name).open("w", newline="") as file:
        csv.writer(file).writerows(lines)


def write_toxcast(folder):
    """Calls `write_assays` with the file name and the size of ToxCast."""
    write_assays(folder, rows=60, assays=617, name="toxcast_data.csv")


def _review(rng, topic, good):
    words = rng.choices(["great", "fine", "loved"] if good else ["awful", "dull", "hated"], k=2)
    return " ".join(rng.sample([*words, topic, "the", "it", "was", "of", "a"], k=8))


def write_reviews(folder, domains, rows=20):
    """Writes reviews of each domain, in the files of FDU-MTL."""
    rng = random.Random(0)
    for domain in domains:
        for split in ("train", "test"):
            lines = [f"{k % 2}\t{_review(rng, domain, k % 2)}" for k in range(rows)]
            lines.append("1\t")  # as in the real files, some have no text
            _write(pathlib.Path(folder, "fdu_mtl", f"{domain}.task.{split}"), "\n".join(lines))


def write_texts(folder, rows=96):
    """Writes film reviews as in imdb.tsv.gz, and news as in the test part of AG News."""
    rng = random.Random(0)
    lines = ["split\tid\tlabel\trating\ttext"]
    for k in range(2 * rows):
        split = "train" if k < rows else "test"
        lines.append(f"{split}\t{k}\t{k % 2}\t{9 * (k % 2) + 1}\t{_review(rng, 'film', k % 2)}")
    with gzip.open(pathlib.Path(folder, "imdb.tsv.gz"), "wt") as file:
        file.write("\n".join(lines) + "\n")
    news = [(k % 4 + 1, _review(rng, TOPICS[k % 4], 1), "today") for k in range(rows)]
    with gzip.open(pathlib.Path(folder, "agnews_test.csv.gz"), "wt", newline="") as file:
        csv.writer(file).writerows(news)
