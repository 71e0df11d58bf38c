"""How gates share their rows among experts."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from keras_mtl.analysis.figures._drawing._heat import draw_table
from keras_mtl.analysis.figures._drawing._style import styled


@styled
def gate_loads(loads: Mapping[str, Mapping[str, float]]) -> Figure:
    """Draws the load of each expert in each gate: the mean weight that it gets over rows.

    Rows that look alike are tasks that use the experts in the same way. A row with one dark cell is
    a gate that uses one expert. A light column is an expert that hardly any task uses.

    Args:
        loads: By gate and expert, the load. An expert that a gate does not read is missing: its
            cell is hatched.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        TypeError: If a load is no number.

    Example:
        >>> figure = gate_loads({"income": {"expert_0": 0.7, "expert_1": 0.3},
        ...                      "age": {"expert_0": 0.2, "expert_1": 0.8}})
        >>> [label.get_text() for label in figure.axes[0].get_xticklabels()]
        ['expert_0', 'expert_1']
    """
    return draw_table(loads, "load of each expert, by gate")
