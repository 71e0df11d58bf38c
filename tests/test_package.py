"""The package as a whole: names, docstrings, sizes, the cost of an import, the version."""

import ast
import configparser
import importlib
import importlib.metadata
import inspect
import pathlib
import pkgutil
import statistics
import subprocess
import sys

import keras
import pytest

import keras_mtl as mtl

ROOT = pathlib.Path(__file__).parents[1]
SOURCES = sorted((ROOT / "keras_mtl").rglob("*.py"))
PACKAGES = [mtl, *map(mtl.__getattr__, mtl._PACKAGES), mtl.analysis.figures]
PACKAGES.sort(key=lambda package: package.__name__)
NAMES = [(package, name) for package in PACKAGES for name in package.__all__]
COMMANDS = {"launch", "serve"}  # python -m keras_mtl.<command>
every_package = pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)


def test_every_sub_package_is_public():
    packages = {name for _, name, is_package in pkgutil.iter_modules(mtl.__path__) if is_package}
    assert {name for name in packages if not name.startswith("_")} == {
        package.__name__.split(".")[1] for package in PACKAGES if package.__name__.count(".") == 1
    }


@pytest.mark.parametrize(
    ("package", "name"), NAMES, ids=[f"{package.__name__}.{name}" for package, name in NAMES]
)
def test_every_public_name_has_an_example_that_runs_as_a_doctest(package, name):
    value = getattr(package, name)
    text = value.__doc__ or ""
    assert text.strip()
    if not inspect.ismodule(value):
        assert text is not getattr(value.__base__ if inspect.isclass(value) else None, "__doc__", 0)
        assert "Example:" in text and ">>> " in text.partition("Example:")[2]


@every_package
def test_all_is_sorted_out_from_what_is_private(package):
    listed = set(package.__all__)
    assert len(listed) == len(package.__all__)
    assert listed <= set(dir(package))
    defined = {name for name, value in vars(package).items() if not inspect.ismodule(value)}
    assert {name for name in defined if not name.startswith("_")} - {
        "Any",
        "TYPE_CHECKING",
    } <= listed
    for _, module, is_package in pkgutil.iter_modules(package.__path__):
        assert is_package or module.startswith("_") or module in COMMANDS, f"{module} is public"


def classes_of_the_package():
    for info in pkgutil.walk_packages(mtl.__path__, "keras_mtl."):
        module = importlib.import_module(info.name)
        for value in vars(module).values():
            if inspect.isclass(value) and value.__module__ == module.__name__:
                yield value


def test_whatever_keras_saves_is_registered_under_the_name_of_the_package():
    classes = [kind for kind in classes_of_the_package() if hasattr(kind, "get_config")]
    bases = {base for kind in classes for base in kind.__mro__[1:]}
    public = {getattr(package, name) for package, name in NAMES}
    saved = [kind for kind in classes if "get_config" in vars(kind) or kind in public]
    saved = [kind for kind in saved if kind not in bases and not inspect.isabstract(kind)]
    assert len(saved) > 10
    for kind in saved:
        assert keras.saving.get_registered_name(kind) == f"keras_mtl>{kind.__name__}"


def test_files_stay_small():
    lengths = {path: len(path.read_text().splitlines()) for path in SOURCES}
    assert statistics.median(lengths.values()) < 100
    assert not {path.name: length for path, length in lengths.items() if length > 350}


def functions():
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                yield f"{path.name}:{node.name}", node


def code_lines(node):
    """Counts the lines of the body, without the docstring."""
    body = node.body[1:] if ast.get_docstring(node) else node.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def test_functions_stay_small():
    lengths = {where: code_lines(node) for where, node in functions()}
    assert sum(length < 25 for length in lengths.values()) >= 0.9 * len(lengths)
    assert not {where: length for where, length in lengths.items() if length > 50}


KERAS_FACE = {
    f"_checked_model.py:{name}": set(inspect.signature(getattr(keras.Model, name)).parameters)
    for name in ("fit", "evaluate")
}
"""Methods that name the arguments of the method of Keras that they override."""


def test_no_function_takes_more_than_seven_arguments():
    counts = {}
    for where, node in functions():
        names = {argument.arg for argument in [*node.args.args, *node.args.kwonlyargs]}
        # Every Keras object has a name, every builder an activation and towers.
        usual = {"self", "cls", "name", "activation", "tower"}
        counts[where] = len(names - usual - KERAS_FACE.get(where, set()))
    too_many = {where for where, count in counts.items() if count > 7}
    assert too_many <= {
        "_balanced_model.py:__init__",  # a whole step
        "_search.py:search",  # a whole experiment in one call
        "_search_task_weights.py:search_task_weights",
        "_compare.py:compare",
        "_advise.py:advise",
        "_report.py:report",  # one argument per section of the page
    }


def test_fit_and_evaluate_name_every_argument_of_keras():
    for method in ("fit", "evaluate"):
        ours = inspect.signature(getattr(mtl.BalancedModel, method)).parameters
        for name, parameter in inspect.signature(getattr(keras.Model, method)).parameters.items():
            assert ours[name].default == parameter.default, f"{method}({name})"
            assert ours[name].kind == parameter.kind, f"{method}({name})"


NEWLY_LOADED = """
import sys
import keras
before = set(sys.modules)
import keras_mtl
print(*sorted({name.split(".")[0] for name in set(sys.modules) - before}))
packages = [f"keras_mtl.{name}" for name in keras_mtl.__all__]
assert not {*packages} & {*sys.modules}, "sub-packages load at first use"
"""


def test_importing_the_package_loads_nothing_but_keras():
    done = subprocess.run(
        [sys.executable, "-c", NEWLY_LOADED], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert "keras_mtl" in loaded
    assert loaded - {"keras_mtl"} <= sys.stdlib_module_names


def test_an_unknown_attribute_is_refused():
    with pytest.raises(AttributeError, match="module 'keras_mtl' has no attribute 'callback'"):
        _ = mtl.callback


def test_the_version_is_stated_once():
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    assert settings["metadata"]["version"] == "attr: keras_mtl._version.__version__"
    assert importlib.metadata.version("keras_mtl") == mtl.__version__
    stated = [path.name for path in SOURCES if f'"{mtl.__version__}"' in path.read_text()]
    assert stated == ["_version.py"]
    assert f"## [{mtl.__version__}]" in (ROOT / "CHANGELOG.md").read_text()
