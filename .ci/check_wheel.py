"""Checks that a wheel holds the package, the whole package and nothing else, and that it works.

python .ci/check_wheel.py dist/keras_mtl-1.2.3-py3-none-any.whl an/empty/folder
"""

import os
import pathlib
import subprocess
import sys
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
LIMIT = 5 * 2**20  # bytes: 2.9 MB of it are the data that ships, which is compressed

# Run where only the installed wheel can be meant.
USE = """
import pathlib, sys
import keras_mtl
from keras_mtl.datasets import _packed
if not pathlib.Path(keras_mtl.__file__).is_relative_to(sys.argv[1]):
    sys.exit(f"imported {keras_mtl.__file__}, not the wheel")
table = _packed.unpack((_packed.FILES / "census_income.bz2").read_bytes())
print("rows that ship:", {split: len(columns["age"]) for split, columns in table.items()})
"""


def expected_files():
    """Every module of the checkout, the mark of a typed package, the templates, and the data."""
    package = ROOT / "keras_mtl"
    found = {*package.rglob("*.py"), package / "py.typed"}
    found.add(package / "analysis" / "_reporting" / "page.html")
    found |= {*package.rglob("*.j2")}
    found |= {path for path in (package / "datasets" / "files").iterdir() if path.is_file()}
    return {path.relative_to(ROOT).as_posix() for path in found}


def check_contents(wheel):
    """Ends the process with a message where the wheel does not hold what it should."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    if not any(name.endswith(".dist-info/licenses/LICENSE") for name in names):
        sys.exit(f"{wheel.name}: no licence")
    names = {name for name in names if ".dist-info/" not in name}
    missing, surplus = expected_files() - names, names - expected_files()
    if missing or surplus:
        sys.exit(f"{wheel.name}: missing {sorted(missing)}, surplus {sorted(surplus)}")
    if wheel.stat().st_size > LIMIT:
        sys.exit(f"{wheel.name}: {wheel.stat().st_size:,} bytes; the limit is {LIMIT:,}")
    print(f"{wheel.name}: {len(names)} files, {wheel.stat().st_size:,} bytes")


def check_use(wheel, folder):
    """Installs the wheel into `folder` and reads the data from there."""
    install = ["-m", "pip", "install", "--no-deps", "--target", str(folder), str(wheel)]
    subprocess.run([sys.executable, *install], check=True)
    path = os.environ | {"PYTHONPATH": str(folder)}
    command = [sys.executable, "-c", USE, str(folder.resolve())]
    subprocess.run(command, check=True, cwd=folder, env=path)


if __name__ == "__main__":
    check_contents(pathlib.Path(sys.argv[1]))
    check_use(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
