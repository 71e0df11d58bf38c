"""The examples on real data sets, each run for a few steps on small built-in files."""

import importlib
import itertools
import pathlib
import sys

import numpy as np
import pytest

sys.path.append(str(pathlib.Path(__file__).parents[2] / "examples"))

from helpers import comparison, scores

EXAMPLES = {
    "03_sentiment_and_topic": ["sentiment accuracy", "topic accuracy"],
    "05_pos_and_ner": ["POS accuracy", "entity F1"],
    "07_intent_and_slots": ["intent accuracy", "slot F1"],
    "09_multi_digit": ["left accuracy", "right accuracy"],
    "12_toxicity": ["mean AUC of 12"],
    "02_classification_and_regression": ["species accuracy", "mass R²"],
    "11_review_domains": ["mean accuracy"],
    "10_images_and_tags": ["left accuracy", "pos accuracy"],
}
SLOW = {  # repeat the code of others
    "04_alternating": ["sentiment accuracy", "topic accuracy"],
    "06_shared_or_hierarchical": ["species accuracy", "male accuracy", "mass R²"],
    "08_bert_two_heads": ["sentiment accuracy", "topic accuracy"],
}
DEFAULTS = {"split": "test", "validate": False, "clothes": False, "set": "tox21"}
DEFAULTS |= {"domains": ["books", "MR", "baby"], "images": 12_500, "preset": None}
DEFAULTS["alpha"] = [0.2, 0.5, 0.8]
NETWORKS = {
    "11_review_domains": 1,
    "10_images_and_tags": 1,
    "05_pos_and_ner": 1,
    "07_intent_and_slots": 1,
}  # the row of the table; else the last

RATES = {"07_intent_and_slots": 0.005}  # of learning; else 0.01


def run(name, *arguments, **changes):
    example = importlib.import_module(name)
    defaults = {"epochs": 1, "batch_size": 16, "learning_rate": RATES.get(name, 0.01)}
    defaults |= DEFAULTS | changes
    return example.main(comparison.parser(example.__doc__, **defaults).parse_args(arguments))


@pytest.mark.parametrize(
    "name", [*EXAMPLES, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]
)
def test_an_example_prints_the_figures_of_a_network_on_its_built_in_data(name, capsys):
    if name == "08_bert_two_heads":
        pytest.importorskip("keras_hub")
    ((network, figures),) = run(name, "--networks", str(NETWORKS.get(name, 2))).items()
    expected = (EXAMPLES | SLOW)[name]
    assert list(figures) == expected
    assert all(len(values) == 1 and np.isfinite(values).all() for values in figures.values())
    printed = capsys.readouterr().out.splitlines()
    head = next(place for place, line in enumerate(printed) if line.startswith("| network |"))
    assert printed[head].split(" | ")[1:-1] == expected
    first = figures[expected[0]][0]
    assert printed[head + 2].startswith(f"| {network} | {first:.4f} ± 0.0000 | ")


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_all_networks_of_an_example_learn_its_built_in_data(name):
    rows = run(name, epochs=30)
    assert len(rows) == (2 if name in ("10_images_and_tags", "11_review_domains") else 3)
    for figures in rows.values():
        assert list(figures) == EXAMPLES[name]
        assert all(values[0] > 0.6 for values in figures.values()), figures


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "changes"),
    [("09_multi_digit", {"clothes": True}), ("12_toxicity", {"set": "toxcast"})],
)
def test_the_other_set_of_an_example_runs(name, changes):
    assert len(run(name, **changes)) == 3


def test_means_and_deviations_of_several_seeds_are_printed(capsys):
    draws = iter([0.5, 0.7, 1.0])
    options = comparison.parser("").parse_args(["--seeds", "2", "--networks", "1"])
    variants = {"first": dict, "second": lambda: {"score": next(draws)}}
    assert comparison.table(variants, options) == {"second": {"score": [0.5, 0.7]}}
    assert "| second | 0.6000 ± 0.1414 | 0 |" in capsys.readouterr().out


def test_the_likely_tags_are_the_most_probable_that_are_allowed():
    names = ["O", "B-a", "I-a", "B-b", "I-b"]
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.full(5, 0.5), size=(20, 4))
    weights = np.arange(4) < rng.integers(1, 5, size=(20, 1))
    likely = scores.likely_tags(names, probabilities, weights).argmax(-1)

    def allowed(tags):
        kinds = ["O", *[names[tag] for tag in tags]]
        return all(
            not tag.startswith("I-") or before[2:] == tag[2:]
            for before, tag in itertools.pairwise(kinds)
        )

    lengths = weights.sum(axis=1)
    for of_sentence, length, tags in zip(probabilities, lengths, likely, strict=True):
        candidates = filter(allowed, itertools.product(range(5), repeat=int(length)))
        best = max(
            candidates, key=lambda tags: np.log(of_sentence[np.arange(len(tags)), tags]).sum()
        )
        assert tuple(tags[:length]) == best


def test_areas_under_the_curve_count_pairs():
    rng = np.random.default_rng(0)
    labels, guesses = rng.integers(0, 2, 40), rng.integers(0, 9, 40) / 8
    above, below = guesses[labels == 1][:, None], guesses[labels == 0]
    wins = (above > below).mean() + (above == below).mean() / 2
    assert scores.auc(labels, guesses) == pytest.approx(wins, abs=1e-12)


def test_missing_labels_and_columns_of_one_class_do_not_count():
    labels = np.array([[1.0, np.nan, 1], [0, 0, 1], [np.nan, 1, 1]])
    guesses = np.array([[0.9, 0.1, 0.2], [0.1, 0.7, 0.3], [0.0, 0.2, 0.4]])
    assert scores.mean_auc(labels, guesses) == 0.5  # 1 and 0


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("B-PER I-PER O B-LOC", {("PER", 0, 2), ("LOC", 3, 4)}),
        ("B-PER B-PER I-LOC I-LOC O", {("PER", 0, 1), ("PER", 1, 2), ("LOC", 2, 4)}),
        ("O I-ORG I-ORG B-ORG", {("ORG", 1, 3), ("ORG", 3, 4)}),
        ("O O", set()),
        ("", set()),
    ],
)
def test_entities_begin_and_end_as_conlleval_has_it(tags, expected):
    assert scores.spans(tags.split()) == expected


def test_entities_are_right_where_kind_and_both_ends_are():
    names = ["O", "B-PER", "I-PER", "B-LOC"]
    labels = np.array([[1, 2, 0, 3, 0], [3, 0, 0, 0, 0]])
    guesses = np.array([[1, 2, 0, 1, 1], [3, 1, 0, 0, 3]])
    weights = np.array([[1, 1, 1, 1, 0], [1, 1, 0, 0, 0]])  # the rest is padding
    # Two of the three entities are predicted, and two of the four predicted entities are right.
    score = scores.span_f1(names, labels, np.eye(4)[guesses], weights)
    assert score == pytest.approx(2 * 2 / (3 + 4))


def test_accuracies_are_those_of_labels_with_weight():
    probabilities = np.eye(3)[[0, 2, 1]]
    assert scores.accuracy(np.array([0, 1, 1]), probabilities) == pytest.approx(2 / 3)
    assert scores.accuracy(np.array([0, 1, 1]), probabilities, [1, 1, 0]) == 0.5
    assert scores.accuracy(np.array([1, 0]), np.array([[0.7], [0.6]])) == 0.5
    assert scores.r_squared(np.array([0.0, 2, 9]), np.array([0.5, 2, 1]), [1, 1, 0]) == 0.875
