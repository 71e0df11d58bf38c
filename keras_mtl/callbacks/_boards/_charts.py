"""Charts of several curves: the layout of TensorBoard's custom scalars."""

import re
from collections.abc import Sequence
from typing import Any

from tensorboard.plugins.custom_scalar import layout_pb2, summary

PREFIXES = (
    *("cosine", "magnitude", "direction", "noise_scale", "conflict", "tasks"),
    *("affinity", "relatedness", "gate", "gates"),
)
"""The first parts of the names that monitors log."""


def layout_summary(tasks: Sequence[str]) -> Any:
    """Returns the summary with all charts.

    A chart shows a tag in all runs: the curves of training and of validation of a task meet in one.
    """
    tags = {
        "loss": {task: f"^loss/{re.escape(task)}$" for task in tasks},
        "metric": {task: f"^metric/{re.escape(task)}$" for task in tasks},
        "weight": {"all tasks": "^weight/"} | {t: f"^weight/{re.escape(t)}$" for t in tasks},
        "relations": {prefix: f"^{prefix}/" for prefix in PREFIXES},
    }
    categories = [
        layout_pb2.Category(
            title=title,
            closed=title != "loss",
            chart=[
                layout_pb2.Chart(title=name, multiline=layout_pb2.MultilineChartContent(tag=[tag]))
                for name, tag in charts.items()
            ],
        )
        for title, charts in tags.items()
    ]
    return summary.pb(layout_pb2.Layout(category=categories))
