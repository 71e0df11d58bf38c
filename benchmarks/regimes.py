"""The anchors of the training regimes: small tables that show what each regime gives.

python benchmarks/regimes.py                  # all tables, on two cores in under 20 minutes
python benchmarks/regimes.py gates transfer   # some of them
python benchmarks/regimes.py gates --seeds 2 --jobs 1
python benchmarks/regimes.py anchors          # no measurement: anchors beside recorded tables

Each regime is a module `regimes_<name>.py` with one table or two. Below a table stand the seconds
that it took, of the clock and of the processor. In the end come the anchors: figures that were
measured elsewhere or before, in `regimes_anchors.json`, beside those of these tables.
"""

import argparse
import concurrent.futures
import importlib
import json
import multiprocessing
import time
import traceback
from typing import Any

import page_tables
import regimes_anchors

NAMES = (
    "meta",  # the first two take longest
    "transfer",
    "active",
    "adversarial",
    "cascade",
    "gates",
    "kinds",
    "modalities",
    "modulation",
    "nearby",
    "rules",
    "shots",
    "stages",
    "teachers",
    "unlabeled",
)


Measured = dict[str, dict[str, Any]]


def measure(name: str, seeds: int | None) -> Measured:
    """Measures the tables of one regime; returns what is known of them by the name of the table."""
    tables = {}
    for table, regime in importlib.import_module(f"regimes_{name}").TABLES.items():
        begin = time.perf_counter(), time.process_time()
        rows = regime.rows(range(seeds or regime.seeds))
        tables[table] = {
            "title": regime.title,
            "header": list(regime.header),
            "keys": regime.keys,
            "rows": [list(row) for row in rows],
            "wall": time.perf_counter() - begin[0],
            "seconds": time.process_time() - begin[1],
        }
    return tables


def print_tables(tables: Measured, record: bool) -> None:
    """Prints the tables of one regime, and keeps them if they are to be recorded."""
    for name, kept in tables.items():
        print(f"\n{kept['title']}\n")
        table = page_tables.Table(f"regimes_{name}", kept["header"], record, kept["keys"])
        for cells in kept["rows"]:
            table.add(*cells)
        table.keep()
        seconds = f"{kept['wall']:.0f} s, {kept['seconds']:.0f} s of the processor"
        print(f"\n{name}: {seconds}", flush=True)


def read_tables() -> Measured:
    """Returns the recorded tables, without those of runs from before `--record`."""
    paths = page_tables.RESULTS.glob("regimes_*.json")
    kept = {path.stem.removeprefix("regimes_"): json.loads(path.read_text()) for path in paths}
    return {name: table for name, table in kept.items() if table["versions"]}


def print_anchors(tables: Measured, record: bool) -> None:
    """Prints the anchors of some tables beside their figures."""
    print("\nAnchors, and what these tables have\n")
    anchors = page_tables.Table("regimes_anchors", regimes_anchors.HEADER, record, keys=4)
    examples = json.loads((page_tables.RESULTS / "examples.json").read_text())
    kept = {"examples": examples, **tables}
    pairs = {name: (table["header"], table["rows"]) for name, table in kept.items()}
    for cells in regimes_anchors.rows(pairs):
        anchors.add(*cells)
    anchors.keep()


def main() -> None:
    """Prints the tables that the command line names.

    Raises:
        SystemExit: If a regime failed; the others are printed, and recorded.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--seeds", type=int, help="instead of those of the table")
    parser.add_argument("--jobs", type=int, default=2, help="how many regimes at once")
    page_tables.add_option(parser)
    options = parser.parse_args()
    if options.names == ["anchors"]:
        print_anchors(read_tables(), options.record)
        return
    begin, tables, failed = time.perf_counter(), {}, []
    # A process for each regime: none inherits the graphs of another one.
    with concurrent.futures.ProcessPoolExecutor(
        options.jobs, multiprocessing.get_context("spawn"), max_tasks_per_child=1
    ) as pool:
        names = options.names or NAMES
        for name, future in [(name, pool.submit(measure, name, options.seeds)) for name in names]:
            try:
                measured = future.result()
            except Exception:
                traceback.print_exc()
                failed.append(name)
                continue
            print_tables(measured, options.record)
            tables |= measured
    print_anchors(tables, options.record)
    minutes = sum(table["seconds"] for table in tables.values()) / 60
    wall = (time.perf_counter() - begin) / 60
    print(f"\nall of these: {wall:.1f} minutes, {minutes:.1f} minutes of the processor")
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
