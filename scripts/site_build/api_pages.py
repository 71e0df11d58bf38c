"""The reference: one page per public name, one per package, and one that lists all of them."""

import ast
import functools
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "keras_mtl"

INHERITING = {"BalancedModel", "Task"}
"""Classes whose public methods are written in private bases."""


INTRODUCTION = """# Reference

Every public name, by package: `import keras_mtl as mtl`. Two commands come with it:
[`python -m keras_mtl.serve FOLDER`](../guides/serving.md) answers requests for a saved model, and
[`python -m keras_mtl.launch --workers N SCRIPT`](../guides/several_machines.md) starts the
workers of a training.
"""


@dataclass(frozen=True)
class Package:
    """Holds the public names of a package, each with the first sentence of its docstring."""

    name: str
    summary: str
    members: dict[str, str]

    @property
    def short(self) -> str:
        """The name without `keras_mtl.`, as it stands in addresses."""
        return self.name.removeprefix("keras_mtl").removeprefix(".") or "keras_mtl"


def first_sentence(docstring: str | None) -> str:
    """Returns the first paragraph of a docstring as one line."""
    return " ".join((docstring or "").strip().partition("\n\n")[0].split())


def list_of_names(tree: ast.Module) -> list[str]:
    """Returns `__all__` of a module."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return [*ast.literal_eval(node.value)]
    return []


def docstrings_of(folder: Path) -> dict[str, str]:
    """Returns the first sentence of each class and function below a folder, by its name."""
    sentences = {}
    for path in sorted(folder.rglob("*.py")):
        for node in ast.parse(path.read_text()).body:
            is_named = isinstance(node, ast.ClassDef | ast.FunctionDef)
            # Of an overloaded function, the last definition has the docstring.
            if is_named and (sentence := first_sentence(ast.get_docstring(node))):
                sentences.setdefault(node.name, sentence)
    return sentences


@functools.cache
def find_packages() -> tuple[Package, ...]:
    """Returns all public packages: `keras_mtl` first, then by name."""
    paths = sorted(PACKAGE.rglob("__init__.py"))
    names = {path: ".".join(path.parent.relative_to(ROOT).parts) for path in paths}
    public = {path: name for path, name in names.items() if "._" not in name}
    everywhere = docstrings_of(PACKAGE)
    packages = {}
    for path, name in public.items():
        tree = ast.parse(path.read_text())
        here = everywhere | docstrings_of(path.parent)
        members = {
            member: here.get(member, "")
            for member in list_of_names(tree)
            if not (path.parent / member).is_dir()
        }
        if members:
            packages[name] = Package(name, first_sentence(ast.get_docstring(tree)), members)
    return tuple(sorted(packages.values(), key=lambda package: package.name))


def page_of_name(package: Package, name: str) -> str:
    """Returns the page of a public name, in Markdown."""
    options = ""
    if name in INHERITING:
        options = "    options:\n      inherited_members: true\n      members_order: alphabetical\n"
    return f"::: {package.name}.{name}\n{options}"


def table_of(package: Package, folder: str) -> str:
    """Returns a table of the names of a package, linked to their pages."""
    rows = [
        f"| [`{name}`]({folder}{name}.md) | {escape(sentence)} |"
        for name, sentence in sorted(package.members.items(), key=lambda item: item[0].lower())
    ]
    return "\n".join(["| name | what it is |", "|---|---|", *rows]) + "\n"


def escape(sentence: str) -> str:
    """Returns a sentence as the text of a cell."""
    return re.sub(r"(?<!\\)\|", r"\\|", sentence)


def page_of_package(package: Package) -> str:
    """Returns the page of a package: its own docstring, then its names."""
    return (
        f"# {package.name}\n\n::: {package.name}\n    options:\n      members: false\n"
        f"      show_root_heading: false\n      show_root_toc_entry: false\n\n"
        f"## Names\n\n{table_of(package, '')}"
    )


def places_of_names() -> dict[str, str]:
    """Returns the page of each public name, as pages write it: `data.mixture`, `Task`, `mmoe`."""
    names = {}
    for package in find_packages():
        for name in package.members:
            place = f"api/{package.short}/{name}.md"
            if package.short in {"keras_mtl", "architectures", "balancers"}:
                names.setdefault(name, place)
            names[f"{package.short}.{name}"] = names[f"{package.name}.{name}"] = place
        names.setdefault(package.name, f"api/{package.short}/index.md")
    for path in sorted((PACKAGE / "_tasks" / "_factories").glob("_*.py")):
        for name in re.findall(r"^    @classmethod\n    def (\w+)", path.read_text(), re.MULTILINE):
            names[f"Task.{name}"] = f"api/keras_mtl/Task.md#keras_mtl.Task.{name}"
    return names


@functools.cache
def identifiers_of_names() -> dict[str, str]:
    """Returns the full name of each public name, by which docstrings link to each other."""
    identifiers = {}
    for name, place in places_of_names().items():
        path, _, anchor = place.removeprefix("api/").partition("#")
        if path.endswith("/index.md"):
            continue  # the heading of a package has no full name to link to
        full = "keras_mtl." + path.removesuffix(".md").replace("/", ".")
        identifiers[name] = anchor or full.replace("keras_mtl.keras_mtl.", "keras_mtl.")
    return identifiers


def write_api(folder: Path) -> list[object]:
    """Writes the reference into the folder, and returns its part of the navigation."""
    packages = find_packages()
    contents = [INTRODUCTION]
    navigation: list[object] = ["api/index.md"]
    for package in packages:
        place = folder / "api" / package.short
        place.mkdir(parents=True, exist_ok=True)
        (place / "index.md").write_text(page_of_package(package))
        for name in package.members:
            (place / f"{name}.md").write_text(page_of_name(package, name))
        contents.append(f"## {package.name}\n\n{package.summary}\n\n")
        contents.append(table_of(package, f"{package.short}/"))
        listed = sorted(package.members, key=str.lower)
        names = [{name: f"api/{package.short}/{name}.md"} for name in listed]
        navigation.append({package.name: [f"api/{package.short}/index.md", *names]})
    (folder / "api" / "index.md").write_text("\n".join(contents))
    return navigation
