"""Runs the code of the documentation pages, and writes what it prints below it.

    python scripts/run_pages.py                              runs all pages, and compares
    python scripts/run_pages.py docs/choose/fifty_tasks.md   runs one page
    python scripts/run_pages.py --write [PAGE...]            writes the outputs into the pages

The blocks ```python of a page run one after the other in an empty folder, as one program. A block
```text that follows is what the block above printed; it is never typed. Code that is shown and not
run, since it needs several machines or another package, stands in a block ```py.
"""

import argparse
import contextlib
import io
import linecache
import os
import re
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]

BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)
PROGRESS = re.compile("Downloading and preparing |Dataset .* downloaded and prepared")
NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


def pages_with_code() -> list[Path]:
    """Returns the pages that have code to run."""
    return [
        page for page in sorted((ROOT / "docs").rglob("*.md")) if BLOCK.search(page.read_text())
    ]


def outputs_of(page: Path) -> list[str]:
    """Runs the blocks of a page in this process, and returns what each one printed."""
    namespace: dict[str, object] = {"__name__": "__main__"}
    printed = []
    for number, (code, _) in enumerate(BLOCK.findall(page.read_text()), 1):
        stream, file = io.StringIO(), f"{page.name}, block {number}"
        # TensorFlow reads the source of functions, as from a file.
        linecache.cache[file] = (len(code), None, code.splitlines(keepends=True), file)
        with contextlib.redirect_stdout(stream):
            exec(compile(code, file, "exec"), namespace)
        lines = [line.rstrip() for line in stream.getvalue().splitlines()]
        printed.append("\n".join(line for line in lines if not PROGRESS.match(line)))
    return printed


def with_outputs(text: str, printed: Sequence[str]) -> str:
    """Returns a page in which each block is followed by what it printed."""
    rest = iter(printed)

    def write(block: re.Match[str]) -> str:
        """Returns one block of code and its output."""
        output = next(rest)
        shown = f"\n```text\n{output}\n```\n" if output else ""
        return f"```python\n{block[1]}```\n{shown}"

    return BLOCK.sub(write, text)


def shape_of(text: str) -> str:
    """Returns a text with `#` for each number, since digits differ from machine to machine."""
    return re.sub(r"\s+", " ", NUMBER.sub("#", text)).strip()


def run(page: Path, write: bool) -> None:
    """Runs a page in this process, in an empty folder; writes its outputs or compares them.

    Raises:
        ValueError: If a block printed other words than the page shows.
    """
    text = page.read_text()
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            new = with_outputs(text, outputs_of(page))
        finally:
            os.chdir(before)
    if write:
        page.write_text(new)
    elif shape_of(new) != shape_of(text):
        raise ValueError(f"the output has changed; run scripts/run_pages.py --write.\n{new}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the pages, one after the other."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("pages", nargs="*", type=Path)
    parser.add_argument("--write", action="store_true", help="write the outputs into the pages")
    options = parser.parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("MPLBACKEND", "Agg")
    failed = []
    for page in [page.resolve() for page in options.pages] or pages_with_code():
        name = page.relative_to(ROOT).as_posix()
        begin = time.perf_counter()
        try:
            run(page, options.write)
        except Exception:
            traceback.print_exc()
            failed.append(name)
        print(f"{name} {time.perf_counter() - begin:.0f} s", flush=True)
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
