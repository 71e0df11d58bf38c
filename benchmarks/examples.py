"""The examples on real data: one network for each task beside hard sharing, mean over seeds.

    python benchmarks/examples.py penguins
    python benchmarks/examples.py tox21 snips --data-dir FOLDER --seeds 3

FOLDER holds the files that the docstrings of the examples name; the penguins ship with keras_mtl.
"""

import argparse
import dataclasses
import pathlib
import subprocess
import sys

import page_tables

EXAMPLES = pathlib.Path(__file__).resolve().parents[1] / "examples"


@dataclasses.dataclass(frozen=True)
class Case:
    """Holds a command, and for each figure that it prints its set, its name and its goal."""

    command: tuple[str, ...]
    figures: tuple[tuple[str, str, str], ...]
    ships: bool = False


CASES = {
    "tox21": Case(("12_toxicity.py", "--set", "tox21"), (("Tox21, 12 assays", "mean AUC", ".78"),)),
    "toxcast": Case(
        ("12_toxicity.py", "--set", "toxcast"), (("ToxCast, 617 assays", "mean AUC", ".68"),)
    ),
    "fdu_mtl": Case(("11_review_domains.py",), (("FDU-MTL, 16 domains", "mean accuracy", ".87"),)),
    "multi_mnist": Case(
        ("09_multi_digit.py",),
        (
            ("Multi-MNIST, left digit", "accuracy", ".965"),
            ("Multi-MNIST, right digit", "accuracy", ".95"),
        ),
    ),
    "snips": Case(
        ("07_intent_and_slots.py",),
        (("SNIPS, intents", "accuracy", ".98"), ("SNIPS, slots", "F1", ".92")),
    ),
    "ewt": Case(
        ("05_pos_and_ner.py",),
        (("EWT, parts of speech", "accuracy", ""), ("EWT, entities", "F1", "")),
    ),
    "texts": Case(
        ("03_sentiment_and_topic.py",),
        (
            ("IMDb, sentiment", "accuracy", ""),
            ("AG News (a fifth of its test part), topic", "accuracy", ""),
        ),
    ),
    "penguins": Case(
        ("02_classification_and_regression.py",),
        (
            ("Palmer penguins, species", "accuracy", ""),
            ("Palmer penguins, body mass", "R²", ""),
        ),
        ships=True,
    ),
}


def run(case: Case, options: argparse.Namespace) -> list[list[str]]:
    """Runs an example; returns the figures of both networks, and the seconds of each, as printed.

    Raises:
        ValueError: If it does not print one row per network, with a cell per figure.
    """
    command = [sys.executable, EXAMPLES / case.command[0], *case.command[1:]]
    command += ["--seeds", str(options.seeds), "--networks", "0", "1"]
    if not case.ships:
        command += ["--data-dir", str(options.data_dir)]
    text = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if " ± " in line]
    if [len(row) for row in rows] != [len(case.figures) + 2] * 2:
        raise ValueError(f"{case.command[0]} printed no table of two networks: {text}")
    return [row[1:] for row in rows]


def main() -> None:
    """Prints a row per figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("sets", nargs="*", metavar="SET", help=f"of {', '.join(CASES)}")
    parser.add_argument("--data-dir", type=pathlib.Path, help="the files of the data sets")
    parser.add_argument("--seeds", type=int, default=3)
    page_tables.add_option(parser)
    options = parser.parse_args()
    names = options.sets or [*CASES]
    if unknown := sorted({*names} - {*CASES}):
        parser.error(f"{unknown} are no sets; expected some of {', '.join(CASES)}")
    if options.data_dir is None and not all(CASES[name].ships for name in names):
        parser.error("--data-dir is needed: made-up files say nothing of real ones")
    header = ["set, test part", "figure", "seeds", "alone", "hard sharing", "s", "goal"]
    table = page_tables.Table("examples", header, options.record, keys=2)
    for name in names:
        alone, shared = run(CASES[name], options)
        for place, (label, figure, goal) in enumerate(CASES[name].figures):
            cells = [alone[place], shared[place], shared[-1]]
            table.add(label, figure, options.seeds, *cells, goal)
    table.keep()


if __name__ == "__main__":
    main()
