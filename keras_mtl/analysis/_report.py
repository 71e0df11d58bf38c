"""One page that says what was compared, what came out, and why."""

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any


def report(
    path: str | os.PathLike[str],
    *,
    title: str = "Multi-task report",
    comparisons: Any = None,
    compared: Any = None,
    failures: Any = None,
    curves: Any = None,
    weights: Mapping[str, Mapping[str, Any]] | None = None,
    conflict: Any = None,
    relations: Any = None,
    search: Sequence[Mapping[str, Any]] | None = None,
    gates: Any = None,
    importance: Any = None,
    data: Any = None,
    settings: Any = None,
) -> None:
    """Writes results as one page of HTML, which opens from disk without network and script.

    Beside `report.html`, it writes `report.json` with all numbers, and one CSV file per table:
    `report_verdicts.csv`. The same results always give the same bytes. The first section says
    whether contenders helped, or that nothing was compared; of the other ones, in the order of the
    arguments, those without a value are left out.

    Choose it to show a result to people who have neither the code nor the data. For one figure, see
    `figures`; for curves while a training runs, TensorBoard.

    A *table* is a list of dicts, a data frame, or a dict of names and values; or a dict of such
    tables by title.

    Args:
        path: The file to write, ending in `.html`. Files of an older report are replaced.
        title: The title of the page.
        comparisons: The `Comparison` of each contender with the baseline, by contender, after
            `correct_jointly` if there are several; or one `Comparison`.
        compared: Tables: what was compared, and with which budget.
        failures: A table of the trainings that failed.
        curves: A metric after each epoch: `Curves`, or by contender and task `[E]`, or one `[E]`
            per seed.
        weights: Task weights after each epoch: likewise by contender and task.
        conflict: A `GramianStatistics` or a `GradientGramian`, or several by contender.
        relations: A result with a matrix by task (`LabelRelations`, `Relation`, `TransferMatrix`,
            `RepresentationSimilarity`), a `TaskGroups`, or a matrix: an array, a data frame or a
            dict of dicts by task; or a dict of these by title.
        search: The trials of a search in their order: dicts with `weights` and `gains` by task, and
            any other values. A failed trial has no gains.
        gates: The result of `gate_use`; or loads by gate and expert.
        importance: The result of `integrated_gradients` or `permutation_importance`, or a dict of
            them by title; by task and input, the importance; or a data frame with a column per
            task.
        data: Tables: rows, labels, missing labels.
        settings: Tables: settings, versions, seeds, the command.

    Raises:
        TypeError: If a value has a wrong type.
        ValueError: If the path does not end in `.html`, or a value does not fit.

    Example:
        >>> import pathlib, tempfile
        >>> from keras_mtl.analysis import compare_scores
        >>> before = {"age": [8.2, 8.3, 8.1], "fee": [1.0, 1.1, 1.2]}
        >>> after = {"age": [8.0, 8.1, 8.0], "fee": [1.0, 1.2, 1.2]}
        >>> result = compare_scores(before, after, directions="min")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     report(pathlib.Path(folder, "report.html"), comparisons={"MMoE": result},
        ...            compared={"trials": 8, "epochs": 10, "seeds": 3})
        ...     sorted(path.name for path in pathlib.Path(folder).iterdir())
        ['report.html', 'report.json', 'report_compared.csv', 'report_contenders.csv',
        'report_verdicts.csv']
    """
    # Jinja2 and Matplotlib load at first use.
    from keras_mtl.analysis._reporting._build import build_sections
    from keras_mtl.analysis._reporting._write import write_files

    target = pathlib.Path(path)
    if target.suffix != ".html":
        raise ValueError(f"path is {str(path)!r}; expected a file that ends in '.html'.")
    inputs = {
        "compared": compared,
        "failures": failures,
        "curves": curves,
        "weights": weights,
        "conflict": conflict,
        "relations": relations,
        "search": search,
        "gates": gates,
        "importance": importance,
        "data": data,
        "settings": settings,
    }
    write_files(target, title, build_sections(comparisons, inputs))
