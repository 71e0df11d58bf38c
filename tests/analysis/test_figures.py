"""Figures: the values that they show, and any number of tasks with any names."""

import io
import pathlib
import subprocess
import sys
import xml.etree.ElementTree

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from keras_mtl import analysis
from keras_mtl.analysis import figures

TEXT = "{http://www.w3.org/2000/svg}text"


def texts_of(figure):
    """Returns all texts that a figure shows."""
    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg")
    root = xml.etree.ElementTree.fromstring(buffer.getvalue())
    return [text.text for text in root.iter(TEXT)]


def comparison(gains, half_width=0.01):
    """Returns a comparison of which only the gains and their intervals matter."""
    scores = {task: np.full(3, 1.0) for task in gains}
    result = analysis.compare_scores(
        scores, scores, directions="max", row_errors=dict.fromkeys(gains, 1.0)
    )
    rows = tuple(
        analysis.TaskVerdict(
            **{
                **vars(row),
                "gain": gain,
                "gain_lower": gain - half_width,
                "gain_upper": gain + half_width,
            }
        )
        for row, gain in zip(result.rows, gains.values(), strict=True)
    )
    return analysis.Comparison(**{**vars(result), "rows": rows})


def drawings(count):
    """Returns every figure of so many tasks."""
    draws = np.random.default_rng(count)
    tasks = [f"assay {position}" for position in range(count)]
    values = draws.normal(size=(count, count))
    values[draws.random((count, count)) < 0.2] = np.nan
    gains = [dict(zip(tasks, draws.normal(size=count).tolist(), strict=True)) for _ in range(3)]
    epochs = {task: draws.random((2, 4)).tolist() for task in tasks}
    by_name = dict(zip(["MMoE", "PLE", "CGC"], gains, strict=True))
    yield figures.verdicts({name: comparison(row) for name, row in by_name.items()})
    yield figures.matrix(values, tasks, measure="affinity", directed=True)
    yield figures.curves({"MMoE": epochs, "PLE": epochs})
    yield figures.task_weights({"MMoE": epochs})
    yield figures.trade_offs(by_name)
    yield figures.weight_effects([dict.fromkeys(tasks, 1.5)] * 3, gains)
    yield figures.gate_loads({f"{task}_gate": {"a": 0.2, "b": 0.8} for task in tasks})
    yield figures.importances({task: {"age": 0.1, "sex": 0.2} for task in tasks})
    yield figures.hypervolume({"TPE": [0.0, 0.1], "random": [0.0]})


@pytest.mark.parametrize("count", [1, 2, 50, 600])
def test_any_number_of_tasks_gives_figures_that_can_be_read(count):
    results = list(drawings(count))
    assert len(results) == len(figures.__all__)
    for figure in results:
        assert isinstance(figure, Figure)
        width, height = figure.get_size_inches()
        assert width <= 7.0 and height <= 14.0
        assert len(figure.axes) <= 15
        assert len(figure.axes[0].get_yticklabels()) <= 60
    if count in (1, 600):  # drawing is what takes time
        for figure in results:
            texts_of(figure)


def test_names_are_shown_as_they_are():
    names = ["_hidden", "$a$ and $b$", r"\frac", "50 %", "a_b^c"]
    curves = {name: {name: [0.1, 0.2] for name in names} for name in names}
    shown = [text.strip() for text in texts_of(figures.curves(curves))]
    for name in names:
        assert shown.count(name) == 2  # as a title and in the legend
    assert {*names} <= set(texts_of(figures.matrix(np.eye(5), names)))


def test_settings_of_users_neither_change_figures_nor_are_changed():
    before = dict(matplotlib.rcParams)
    figure = figures.hypervolume([0.0, 0.1])
    assert dict(matplotlib.rcParams) == before
    with matplotlib.rc_context({"axes.facecolor": "red", "text.usetex": True, "font.size": 40}):
        other = figures.hypervolume([0.0, 0.1])
    assert other.axes[0].get_facecolor() == figure.axes[0].get_facecolor()
    assert other.axes[0].xaxis.label.get_size() == figure.axes[0].xaxis.label.get_size()


def test_a_forest_shows_gains_in_percent_with_the_ends_of_their_intervals():
    figure = figures.verdicts(
        {"MMoE": comparison({"a": 0.02, "b": -0.01}), "PLE": comparison({"a": 0.0, "b": 0.03})}
    )
    (axes,) = figure.axes
    points = [
        line for line in axes.lines if len(line.get_xdata()) == 2 and line.get_marker() in "os"
    ]
    np.testing.assert_allclose([line.get_xdata() for line in points], [[2, -1], [0, 3]])
    ends = [[segment[:, 0] for segment in lines.get_segments()] for lines in axes.collections]
    np.testing.assert_allclose(ends, [[[1, 3], [-2, 0]], [[-1, 1], [2, 4]]])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]
    assert axes.yaxis_inverted()


def test_a_huge_interval_is_cut_and_the_other_ones_stay_visible():
    result = comparison({task: 0.01 for task in "abcdef"})
    wide = analysis.TaskVerdict(**{**vars(result.rows[0]), "gain_lower": -50.0, "gain_upper": 50.0})
    figure = figures.verdicts(
        analysis.Comparison(**{**vars(result), "rows": (wide, *result.rows[1:])})
    )
    low, high = figure.axes[0].get_xlim()
    assert -20 < low < 0 and 2 < high < 20
    arrows = {line.get_marker() for line in figure.axes[0].lines if len(line.get_xdata()) == 1}
    assert {"<", ">"} <= arrows


def test_of_many_rows_the_worst_and_the_best_are_shown():
    gains = {f"task {position}": position / 100 - 1 for position in range(200)}
    top, bottom = figures.verdicts({"MMoE": comparison(gains)}).axes
    shown = [label.get_text() for label in bottom.get_yticklabels()]
    assert shown == [f"task {position}" for position in [*range(6), *range(194, 200)]]
    (box,) = [patch.get_path().vertices[:, 0] for patch in top.patches]
    np.testing.assert_allclose([box.min(), box.max()], [-50.25, 49.25])


def planted_groups(order):
    """Returns affinities of three groups of four tasks, 5 % of them missing."""
    draws = np.random.default_rng(0)
    group = np.array(order) % 3
    values = 0.1 * draws.random((12, 12)) + (group[:, None] == group[None])
    values[draws.random((12, 12)) < 0.05] = np.nan
    return values


@pytest.mark.parametrize("seed", range(5))
def test_a_matrix_puts_tasks_of_one_group_side_by_side(seed):
    order = np.random.default_rng(seed).permutation(12)
    figure = figures.matrix(planted_groups(order), [str(task) for task in order])
    groups = [int(label.get_text()) % 3 for label in figure.axes[0].get_yticklabels()]
    changes = np.flatnonzero(np.diff(groups))
    assert changes.tolist() == [3, 7]


def test_a_matrix_shows_its_values_and_hatches_what_is_missing():
    frame = pd.DataFrame({"a": [1.0, 0.5, 0.1], "b": [0.2, 1.0, 0.3], "c": [0.8, np.nan, 1.0]})
    frame.index = ["a", "b", "c"]
    figure = figures.matrix(frame, measure="transfer", directed=True)
    axes = figure.axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    image = axes.images[0].get_array()
    for row, name in enumerate(names):
        for column, other in enumerate(names):
            value = frame.loc[name, other]
            assert image.mask[row, column] if np.isnan(value) else image[row, column] == value
    assert axes.patch.get_hatch()
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("to task", "from task")
    assert not figures.matrix(frame.fillna(0.0)).axes[0].patch.get_hatch()


def test_above_200_tasks_a_cell_is_the_mean_of_pairs_of_different_tasks():
    values = np.random.default_rng(0).random((402, 402)) + 5.0 * np.eye(402)
    image = figures.matrix(values).axes[0].images[0].get_array()
    assert image.shape == (134, 134)
    # Blocks have nine pairs, those on the diagonal six: three are of a task with itself.
    total = 9.0 * image.sum() - 3.0 * np.diagonal(image).sum()
    assert total == pytest.approx(values.sum() - np.trace(values))


def test_colors_of_both_signs_are_symmetric_and_leave_the_diagonal_out():
    image = figures.matrix([[1.0, -0.02], [0.01, 1.0]]).axes[0].images[0]
    assert (image.norm.vmin, image.norm.vmax) == (-0.02, 0.02)
    image = figures.matrix([[1.0, -0.6], [0.01, 1.0]]).axes[0].images[0]
    assert (image.norm.vmin, image.norm.vmax) == (-1.0, 1.0)


def test_curves_are_means_of_seeds_of_any_length():
    figure = figures.curves({"MMoE": {"age": [[1.0, 2.0, np.nan, 5.0], [3.0]]}})
    (line,) = figure.axes[0].lines
    assert line.get_xdata().tolist() == [1, 2, 4] and line.get_ydata().tolist() == [2, 2, 5]
    band = figure.axes[0].collections[0].get_paths()[0].vertices
    assert {tuple(point) for point in band} >= {(1, 1), (1, 3), (2, 2), (4, 5)}


def test_of_many_curves_those_that_improved_least_and_most_are_shown():
    tasks = {f"task {position}": [10.0, 10.0 - position / 10] for position in range(30)}
    curves = analysis.Curves({"MMoE": tasks}, modes=dict.fromkeys(tasks, "min"))
    shown = [axes.get_title("left") for axes in figures.curves(curves).axes]
    assert shown == [f"task {position}" for position in [*range(6), *range(24, 30)]]


def test_dominated_settings_are_gray_and_failed_ones_are_not_drawn():
    gains = {
        "equal": {"a": 0.01, "b": 0.02},
        "searched": {"a": 0.03, "b": 0.02},
        "failed": {"a": np.nan, "b": 0.5},
    }
    intervals = {"searched": {"a": (0.02, 0.04), "b": (0.01, 0.03)}}
    weights = {"searched": {"a": 1.5, "b": 0.5}}
    (axes,) = figures.trade_offs(gains, intervals=intervals, weights=weights).axes
    points = {
        (float(line.get_xdata()[0]), float(line.get_ydata()[0])): line.get_color()
        for line in axes.lines
        if line.get_marker() in "ox*"
    }
    assert points[1.0, 2.0] != points[3.0, 2.0] and points[0.0, 0.0] == "black"
    labels = [text.get_text() for text in axes.texts]
    assert "searched (1.5, 0.5)" in labels and "equal" in labels
    ends = [segment[:, 0] for lines in axes.collections for segment in lines.get_segments()]
    assert [2.0, 4.0] in [values.tolist() for values in ends]
    assert not any("failed" in label for label in labels)


def test_of_three_tasks_the_axes_are_parallel_in_their_order():
    (axes,) = figures.trade_offs({"x": {"c": 0.1, "a": 0.2, "b": 0.0}}).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["c", "a", "b"]
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [10, 20, 0])


def test_inputs_that_serve_one_task_stand_above_those_that_serve_all():
    values = {
        "a": {"all": 0.9, "one": 0.5, "none": 0.0},
        "b": {"all": 0.9, "one": 0.0, "none": 0.0},
        "c": {"all": 0.9, "one": 0.0, "none": -0.01},
    }
    axes = figures.importances(values).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["one", "all", "none"]
    many = {"a": {f"input {position}": float(position) for position in range(99)}}
    shown = {label.get_text() for label in figures.importances(many).axes[0].get_yticklabels()}
    assert shown == {f"input {position}" for position in range(69, 99)}


def test_a_failed_trial_is_no_point():
    figure = figures.weight_effects(
        [{"a": np.e}, {"a": 1.0}, {"a": 0.0}], [{"a": 0.02}, {}, {"a": 1}]
    )
    points = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert points[0].get_xydata().tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: figures.verdicts({}), "comparisons is empty"),
        (lambda: figures.curves({}), "curves is empty; expected at least one contender"),
        (lambda: figures.task_weights({"MMoE": {}}), "weights is empty"),
        (lambda: figures.weight_effects([], []), "0 trials with weights and 0 with gains"),
        (lambda: figures.matrix([[1, 2]]), r"values has shape \(1, 2\)"),
        (lambda: figures.trade_offs([1, 2]), "points has shape"),
        (
            lambda: figures.curves(analysis.Curves({"x": {"a": [1]}}, modes={"a": "up"})),
            "task 'a': the direction of '' is 'up'",
        ),
        (lambda: figures.curves({"x": {"a": [[[1]]]}}), r"curves\['x'\]\['a'\] is"),
    ],
)
def test_what_cannot_be_drawn_is_refused(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()


def test_no_figure_needs_pyplot():
    folder = pathlib.Path(figures.__file__).parent
    assert not [
        path for path in folder.rglob("*.py") if "pyplot" in path.read_text().split('"""')[-1]
    ]


def test_matplotlib_and_jinja2_load_at_first_use():
    code = "import sys, keras; before = set(sys.modules); import keras_mtl.analysis; "
    code += "print(*({'matplotlib', 'jinja2'} & (set(sys.modules) - before)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
