"""The examples on real data: one network for each task beside hard sharing, mean over seeds.

    python benchmarks/examples.py penguins
    python benchmarks/examples.py tox21 snips --data-dir FOLDER --seeds 3
    python benchmarks/examples.py turns --data-dir FOLDER      # two ways to take turns

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
    """Holds a command, and for each figure that it prints its set, its name and its goal.

    Args:
        command: The file of the example, and its options.
        figures: Set, name and goal of each figure.
        ships: Whether the data ship with keras_mtl.
        columns: The names of the networks that the example prints, in its order.
        table: The table of the page that these columns belong to.
    """

    command: tuple[str, ...]
    figures: tuple[tuple[str, str, str], ...]
    ships: bool = False
    columns: tuple[str, ...] = ("alone", "hard sharing")
    table: str = "examples"


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
    "images_and_tags": Case(
        ("10_images_and_tags.py",),
        (
            ("Multi-MNIST (12,500 images), left digit", "accuracy", ""),
            ("EWT, parts of speech, same body", "accuracy", ""),
        ),
    ),
    "turns": Case(
        ("04_alternating.py",),
        (
            ("IMDb, sentiment", "accuracy", ""),
            ("AG News (a fifth of its test part), topic", "accuracy", ""),
        ),
        columns=("both in each batch", "a batch of each in turn"),  # the third way takes as long
        table="examples_turns",
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
    """Runs an example; returns the figures of its networks, and the seconds of each, as printed.

    One seed has no deviation.

    Raises:
        ValueError: If it does not print one row per network, with a cell per figure.
    """
    command = [sys.executable, EXAMPLES / case.command[0], *case.command[1:]]
    count = len(case.columns)
    command += ["--seeds", str(options.seeds), "--networks", *map(str, range(count))]
    if not case.ships:
        command += ["--data-dir", str(options.data_dir)]
    text = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if " ± " in line]
    if [len(row) for row in rows] != [len(case.figures) + 2] * count:
        raise ValueError(f"{case.command[0]} printed no table of {count} networks: {text}")
    if options.seeds == 1:
        rows = [[cell.partition(" ± ")[0] for cell in row] for row in rows]
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
    for name in names:
        case = CASES[name]
        header = ["set, test part", "figure", "seeds", *case.columns, "s", "goal"]
        table = page_tables.Table(case.table, header, options.record, keys=2)
        networks = run(case, options)
        for place, (label, figure, goal) in enumerate(case.figures):
            cells = [row[place] for row in networks]
            table.add(label, figure, options.seeds, *cells, networks[-1][-1], goal)
        table.keep()


if __name__ == "__main__":
    main()
