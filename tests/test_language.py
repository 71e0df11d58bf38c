"""Words: what a machine can hold of CONTRIBUTING's "plain words"."""

import ast
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PACKAGE = sorted((ROOT / "keras_mtl").rglob("*.py"))
EVERYWHERE = sorted(
    path
    for folder in ("keras_mtl", "tests", "examples", "benchmarks", "scripts", "saved_models")
    for path in (ROOT / folder).rglob("*.py")
    if ".peers" not in path.parts
)

BANNED = {"each", "own", "found", "given", "made", "mine", "like", "others", "thing", "things"}
"""Names that say nothing of what they hold."""

BRITISH = re.compile(
    r"(?:scalar|random|normal|factor|minim|maxim|penal|vector|standard|special|orthogonal|priorit"
    r"|token|serial|regular|optim|summar|initial|organ|recogn|general|parallel|categor|real)"
    r"is(?:e|ed|es|ing|ation|ations|er|ers)(?![a-z])"
    r"|colour|behaviour|neighbour|favour|labelled|modell(?:ed|ing)|centre(?![a-z])|\bgrey\b",
    re.IGNORECASE,
)
TITLES = ("A Tensor Factorisation",)  # of papers, as they are published

# A verb in the third person ends in s; these do so, too, and are none.
NO_VERBS = {"whose", "this", "its", "less", "always", "weights", "losses", "gradients", "rows"}
NO_VERBS |= {"names", "values", "tasks", "labels", "outputs", "inputs", "variables", "layers"}


def functions(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def is_property(node):
    decorators = {ast.unparse(decorator).split(".")[-1] for decorator in node.decorator_list}
    return bool(decorators & {"property", "cached_property", "setter"})


def opens_with_a_verb(docstring):
    first = re.match(r"[`\"']?([A-Za-z]+)", docstring.strip())
    word = first[1].lower() if first else ""
    return word.endswith("s") and not word.endswith("ss") and word not in NO_VERBS


def test_docstrings_of_functions_open_with_a_verb_in_the_third_person():
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno} {docstring.splitlines()[0]}"
        for path in EVERYWHERE
        for node in functions(path)
        if (docstring := ast.get_docstring(node))
        and not is_property(node)
        # A test's docstring adds to its name, which is a sentence.
        and not node.name.startswith("test_")
        and not opens_with_a_verb(docstring)
    ]
    assert not wrong, "\n".join(wrong)


def bound_names(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name, node.lineno
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr.lstrip("_"), node.lineno


def test_no_variable_has_a_name_that_says_nothing():
    wrong = [
        f"{path.relative_to(ROOT)}:{line} {name}"
        for path in EVERYWHERE
        for name, line in bound_names(ast.parse(path.read_text()))
        if name in BANNED
    ]
    assert not wrong, "\n".join(wrong)


def test_the_spelling_is_american_as_that_of_keras():
    pages = [*EVERYWHERE, *ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    wrong = [
        f"{path.relative_to(ROOT)}:{number} {word[0]}"
        for path in pages
        if path != pathlib.Path(__file__)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        for word in BRITISH.finditer(line)
        if not any(title in line for title in TITLES)
    ]
    assert not wrong, "\n".join(wrong)


ONE_A_TASK = re.compile(
    r"\b(?:one|once|two|three|layer|layers|number|numbers|weight|pass|passes|unit|units|loss|entry"
    r"|vector|tower|towers|metric|K)s? (?:a|an) (?:task|column|batch|step|epoch|example|label|layer"
    r"|row|replica|branch|expert|token|word)\b",
    re.IGNORECASE,
)


def test_per_is_said_where_per_is_meant():
    wrong = [
        f"{path.relative_to(ROOT)}:{number} {phrase[0]}"
        for path in PACKAGE
        for number, line in enumerate(path.read_text().splitlines(), 1)
        for phrase in ONE_A_TASK.finditer(line)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("word", ["scalarise", "behaviour", "normalised", "centre", "labelled"])
def test_the_search_for_british_spelling_finds_it(word):
    assert BRITISH.search(word)


@pytest.mark.parametrize(
    ("docstring", "is_right"),
    [
        ("Returns the loss.", True),
        ("`None` where there is none.", False),
        ("Whose gradients are finite.", False),
        ("The loss.", False),
        ("Weights of the tasks.", False),
        ("Checks that it fits.", True),
    ],
)
def test_the_search_for_verbs_finds_noun_phrases(docstring, is_right):
    assert opens_with_a_verb(docstring) == is_right
