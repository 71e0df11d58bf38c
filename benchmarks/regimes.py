"""The anchors of the training regimes: small tables that show what each regime gives.

python benchmarks/regimes.py                  # all tables
python benchmarks/regimes.py gates transfer   # some of them
python benchmarks/regimes.py gates --seeds 2

Each table is a module `regimes_<name>.py` with a `TITLE`, a `HEADER` and `rows(seeds)`. Below it
stand the seconds that it took, of the clock and of the processor.
"""

import argparse
import importlib
import time

import page_tables

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


def print_table(name: str, seeds: int, record: bool) -> None:
    """Prints the table of one regime, and keeps it if it is to be recorded."""
    regime = importlib.import_module(f"regimes_{name}")
    begin = time.perf_counter(), time.process_time()
    rows = regime.rows(range(seeds))
    seconds = time.perf_counter() - begin[0], time.process_time() - begin[1]
    print(f"\n{regime.TITLE}\n")
    table = page_tables.Table(f"regimes_{name}", regime.HEADER, record)
    for cells in rows:
        table.add(*cells)
    table.keep()
    print(f"\n{name}: {seconds[0]:.0f} s, {seconds[1]:.0f} s of the processor", flush=True)


def main() -> None:
    """Prints the tables that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--seeds", type=int, default=5)
    page_tables.add_option(parser)
    options = parser.parse_args()
    for name in options.names or NAMES:
        print_table(name, options.seeds, options.record)
    minutes = time.process_time() / 60
    print(f"\nall of these: {minutes:.1f} minutes of the processor")


if __name__ == "__main__":
    main()
