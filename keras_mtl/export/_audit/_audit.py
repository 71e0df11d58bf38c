"""The audit of a SavedModel before it is loaded."""

import dataclasses
import os
from collections.abc import Sequence

from keras_mtl.export._audit._allowed import ALLOWED, LOADING, REASONS, SAVING
from keras_mtl.export._audit._saved_graph import MAIN, read_saved_graph
from keras_mtl.export._beside._refused import RefusedVersion


@dataclasses.dataclass(frozen=True)
class Audit:
    """Holds which operations a SavedModel has, and which of them a server must not run.

    Args:
        folder: The folder of the version.
        num_functions: The number of functions that were read, beside the main graph.
        ops: The types of all operations, in order.
        refused: Types of operations that are refused, with the reason and the function.
    """

    folder: str
    num_functions: int
    ops: tuple[str, ...]
    refused: dict[str, str]

    def check(self) -> None:
        """Checks that nothing is refused.

        Raises:
            RefusedVersion: If something is; the message names operations and reasons.
        """
        if self.refused:
            raise RefusedVersion(str(self))

    def __str__(self) -> str:
        """Returns a sentence for a log."""
        head = (
            f"{self.folder}: {len(self.ops)} types of operations in {self.num_functions} functions"
        )
        if not self.refused:
            return f"{head}, all of which only compute."
        reasons = "; ".join(f"{op} {reason}" for op, reason in self.refused.items())
        return (
            f"{head}. It must not be loaded: {reasons}. If you trust an operation that your "
            "network needs, allow it: export.audit(folder, allow=[name])."
        )


def audit(folder: str | os.PathLike[str], *, allow: Sequence[str] = ()) -> Audit:
    """Reads which operations a SavedModel has, and refuses those that do more than compute.

    A SavedModel is a program: an operation `ReadFile` or `WriteFile` in it reads or writes the
    files of the server on an ordinary request, and its initialization runs while it is loaded. The
    audit reads `saved_model.pb` as a message and loads nothing. Every operation must be on a list:
    those that exports of this package use, and others that only compute. Functions at any depth
    are read, and one that is named and not defined is refused. Operations that fill variables
    and tables are allowed where no signature can reach them, and those that save variables where
    nothing that a server runs can.

    Call it in every server that loads SavedModels, after the manifest was verified and before
    `tf.saved_model.load`. It says nothing of wrong answers, and does not bound memory or time.
    A `StringLookup` with a vocabulary in a file is refused, since the operation that reads the file
    would read any; pass the words as a list.

    Args:
        folder: The folder of the version.
        allow: Types of operations that are allowed, too. Defaults to none.

    Returns:
        An `Audit`. Its `check()` raises if an operation is refused; `str()` says what and why.

    Raises:
        RefusedVersion: If `saved_model.pb` is missing or cannot be read.

    Example:
        >>> import tempfile
        >>> import keras
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("click"), mtl.Task.regression("price")]
        >>> network = mtl.architectures.hard_sharing(keras.Input((4,), name="user"), tasks)
        >>> folder = mtl.export.saved_model(network, tasks, tempfile.mkdtemp() + "/shop/1")
        >>> result = audit(folder)
        >>> result.refused, "MatMul" in result.ops
        ({}, True)
        >>> result.check()
    """
    graph = read_saved_graph(folder)
    allowed = ALLOWED | set(allow)
    refused: dict[str, str] = {}
    for function, ops in sorted(graph.ops.items()):
        where = f"in function {function}" if function != MAIN else "in the main graph"
        allowed_here = allowed
        if function != MAIN and function not in graph.served:
            allowed_here |= LOADING
        if function != MAIN and function not in graph.run:
            allowed_here |= SAVING
        for op in sorted(ops - allowed_here):
            refused.setdefault(op, f"{REASONS.get(op, _UNKNOWN)} ({where})")
    for name in sorted(graph.undefined - allowed):
        refused[name] = "is called as a function and not defined"
    all_ops = tuple(sorted(set().union(*graph.ops.values())))
    return Audit(os.fspath(folder), len(graph.ops) - 1, all_ops, refused)


_UNKNOWN = "is not on the list of operations that only compute"
