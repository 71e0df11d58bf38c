"""The anchors of the training regimes: small tables that show what each regime gives.

python benchmarks/regimes.py                  # all tables
python benchmarks/regimes.py gates transfer   # some of them
python benchmarks/regimes.py gates --seeds 2

Each table is a module `regimes_<name>.py` with a `TITLE`, a `HEADER` and `rows(seeds)`.
"""

import argparse
import importlib

NAMES = (
    "active",
    "adversarial",
    "gates",
    "kinds",
    "meta",
    "modalities",
    "nearby",
    "rules",
    "shots",
    "stages",
    "transfer",
    "unlabeled",
)


def print_table(name: str, seeds: int) -> None:
    """Prints the table of one regime as Markdown."""
    regime = importlib.import_module(f"regimes_{name}")
    table = [regime.HEADER, ["---"] * len(regime.HEADER), *regime.rows(range(seeds))]
    print(f"\n{regime.TITLE}\n")
    for cells in table:
        print("| " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    """Prints the tables that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    for name in options.names or NAMES:
        print_table(name, options.seeds)


if __name__ == "__main__":
    main()
