"""The gallery: each example with its source, what it printed and what it drew.

What an example printed is never typed. It is recorded by running the file, in `docs/recorded/`,
with a hash of the file and of the helpers that it imports. A build runs the examples whose hash has
changed, and takes the records of the others; `scripts/build_site.py --run` runs all of them.
"""

import ast
import dataclasses
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
RECORDS = ROOT / "docs" / "recorded"

PROGRESS = re.compile(
    r"Downloading and preparing |Dataset .* downloaded and prepared|\[\d+ of \d+\] "
)
"""Lines about data sets that are prepared, and about trainings of a study that have ended."""

OPTIONAL = {"keras_hub"}
"""Packages that an example may need, and that the extra `dev` does not bring."""

TIME_LIMIT = 3600  # seconds, for one example on a busy machine


@dataclasses.dataclass(frozen=True)
class Record:
    """Holds what an example printed and drew, and of which source that is."""

    hash: str
    seconds: int
    output: str
    figures: list[str]


def programs() -> list[Path]:
    """Returns the examples in their order: the quickstart, then the numbered ones."""
    return sorted(EXAMPLES.glob("*.py"), key=lambda path: (path.name[0].isdigit(), path.name))


def helpers() -> list[Path]:
    """Returns the files that examples import, and those that are run by other servers."""
    folders = (EXAMPLES / "helpers", EXAMPLES / "servers")
    paths = [path for folder in folders for path in sorted(folder.glob("*.py"))]
    return [path for path in paths if path.name != "__init__.py"]


def imported_helpers(path: Path) -> list[Path]:
    """Returns the helpers that an example imports, directly or through others."""
    pending, known = [path], {path}
    while pending:
        for node in ast.walk(ast.parse(pending.pop().read_text())):
            if not isinstance(node, ast.ImportFrom) or node.module not in {"helpers", None}:
                continue
            for name in [alias.name for alias in node.names]:
                helper = EXAMPLES / "helpers" / f"{name}.py"
                if helper.is_file() and helper not in known:
                    known.add(helper)
                    pending.append(helper)
    return sorted(known - {path})


def hash_of(path: Path) -> str:
    """Returns a hash of an example and of what it imports from its folder."""
    sources = [path, *imported_helpers(path)]
    return hashlib.sha256(b"\0".join(source.read_bytes() for source in sources)).hexdigest()[:16]


def run(path: Path) -> Record | None:
    """Runs an example in an empty folder, and returns its record; figures go to `docs/recorded`.

    Returns `None` if the example needs an optional package that is not installed.

    Raises:
        RuntimeError: If the example fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "MPLBACKEND": "Agg", "PYTHONPATH": str(ROOT)}
        # Sums in a fixed order: small networks differ else from run to run, and so would records.
        quiet["TF_DETERMINISTIC_OPS"] = "1"
        begin = processor_time()
        done = subprocess.run(
            [sys.executable, str(path)],
            cwd=folder,
            env=os.environ | quiet,
            capture_output=True,
            text=True,
            timeout=TIME_LIMIT,
            check=False,
        )
        seconds = processor_time() - begin
        missing = re.search(r"^ModuleNotFoundError: No module named '(\w+)", done.stderr, re.M)
        if done.returncode and missing and missing[1] in OPTIONAL:
            print(f"examples/{path.name} needs {missing[1]}: it is shown without its output")
            return None
        if done.returncode:
            raise RuntimeError(f"{path.name} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
        figures = []
        for figure in sorted(Path(folder).rglob("*.png")):
            name = f"{path.stem}-{figure.name}"
            (RECORDS / name).write_bytes(figure.read_bytes())
            figures.append(name)
    lines = [line.rstrip() for line in done.stdout.replace(folder, ".").splitlines()]
    output = "\n".join(line for line in lines if not PROGRESS.match(line))
    return Record(hash_of(path), round(seconds), output, figures)


def processor_time() -> float:
    """Returns the seconds of processor time of all processes that were run and have ended.

    Unlike those of the clock, they hardly depend on what else runs on the machine.
    """
    import resource  # Unix alone has it, and only recording needs it

    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def record_of(path: Path, run_again: bool) -> Record | None:
    """Returns the record of an example, and runs it if there is none of this source."""
    file = RECORDS / f"{path.stem}.json"
    if not run_again and file.is_file():
        record = Record(**json.loads(file.read_text()))
        if record.hash == hash_of(path):
            return record
    print(f"running examples/{path.name}", flush=True)
    RECORDS.mkdir(exist_ok=True)
    record = run(path)
    if record is None:
        return None
    file.write_text(json.dumps(dataclasses.asdict(record), indent=1, ensure_ascii=False) + "\n")
    return record


def remove_stale_records() -> None:
    """Removes the records and figures of examples that are gone."""
    stems = {path.stem for path in programs()}
    for file in RECORDS.glob("*"):
        if file.stem.split("-")[0] not in stems:
            file.unlink()


def title_and_text(path: Path) -> tuple[str, str]:
    """Returns the first sentence of a module's docstring as a title, and the rest."""
    docstring = ast.get_docstring(ast.parse(path.read_text())) or path.stem
    title, _, rest = docstring.partition("\n\n")
    return " ".join(title.split()).rstrip("."), rest.strip("\n")


def shown(path: Path, record: Record | None) -> str:
    """Returns what an example printed and drew, in Markdown."""
    if record is None:
        return "It needs a package that was not installed when this page was built.\n"
    lines = re.sub(r"\x1b\[[0-9;]*m", "", record.output).splitlines()
    output = "\n".join(line for line in lines if not PROGRESS.match(line)).rstrip()
    figures = [f"![A figure of {path.name}](../recorded/{name})\n" for name in record.figures]
    text = f"```text\n{output}\n```\n" if output else ""
    return "\n".join(
        [text, *figures, f"Recorded by running the file: {record.seconds} s of processor time.\n"]
    )


def write_recorded_parts(folder: Path, run_again: bool) -> None:
    """Puts the record of an example in the place of each line `<!-- recorded: NAME -->`."""
    for page in sorted(folder.rglob("*.md")):
        text = page.read_text()
        names = re.findall(r"^<!-- recorded: (\S+) -->$", text, re.MULTILINE)
        for name in names:
            path = EXAMPLES / f"{name}.py"
            text = text.replace(
                f"<!-- recorded: {name} -->", shown(path, record_of(path, run_again))
            )
        if names:
            page.write_text(text)


def write_sources_of_systems(folder: Path) -> None:
    """Appends to each page of a system the files of its program, each in a box that opens."""
    for page in sorted((folder / "systems").glob("*.md")):
        files = sorted((EXAMPLES / "systems" / page.stem).glob("*.py"))
        if not files:
            continue
        boxes = ["\n## The program\n"]
        for file in files:
            name = file.relative_to(ROOT).as_posix()
            source = file.read_text().strip().replace("\n", "\n    ")
            boxes.append(f'??? note "{name}"\n\n    ```python\n    {source}\n    ```\n')
        page.write_text(page.read_text() + "\n".join(boxes))


def page_of(path: Path, record: Record | None) -> str:
    """Returns the page of an example, in Markdown."""
    title, text = title_and_text(path)
    name = path.relative_to(ROOT).as_posix()
    source = path.read_text().rstrip()
    lines = [f"# {title}\n", f"`{name}`\n", f"{text}\n"]
    lines.append(f'```python title="{name}"\n{source}\n```\n')
    if path in programs():
        lines.append(f"## What it prints\n\n{shown(path, record)}")
    if imported := imported_helpers(path):
        to_folder = "" if path.parent.name == "helpers" else "helpers/"
        links = [f"[`{helper.name}`]({to_folder}{helper.stem}.md)" for helper in imported]
        lines.append(f"It imports {', '.join(links)}.\n")
    return "\n".join(lines)


def write_gallery(folder: Path, run_again: bool) -> list[object]:
    """Writes the gallery into the folder, and returns its part of the navigation."""
    place = folder / "gallery"
    place.mkdir(parents=True, exist_ok=True)
    remove_stale_records()
    write_recorded_parts(folder, False)
    write_sources_of_systems(folder)
    rows, navigation = [], [{"All examples": "gallery/index.md"}]
    for path in programs():
        record = record_of(path, run_again)
        (place / f"{path.stem}.md").write_text(page_of(path, record))
        title = title_and_text(path)[0]
        rows.append(
            f"| [`{path.name}`]({path.stem}.md) | {title} | {record.seconds if record else ''} |"
        )
        navigation.append({path.stem: f"gallery/{path.stem}.md"})
    helper_rows, helper_pages = [], []
    for path in helpers():
        stem = path.relative_to(EXAMPLES).with_suffix("").as_posix()
        page = place / f"{stem}.md"
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(page_of(path, None))
        helper_rows.append(f"| [`{stem}.py`]({stem}.md) | {title_and_text(path)[0]} |")
        helper_pages.append({stem: f"gallery/{stem}.md"})
    (place / "index.md").write_text(
        "\n".join(
            [
                (ROOT / "docs" / "gallery" / "index.md").read_text(),
                "| file | what it shows | s |\n|---|---|---|",
                *rows,
                "\n## Helpers and servers\n",
                "These are imported by examples, or run by other servers.\n",
                "| file | what it is |\n|---|---|",
                *helper_rows,
            ]
        )
    )
    for figure in RECORDS.glob("*.png"):
        (folder / "recorded").mkdir(exist_ok=True)
        (folder / "recorded" / figure.name).write_bytes(figure.read_bytes())
    return [*navigation, {"Helpers": helper_pages}]
