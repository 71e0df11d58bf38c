"""What is known of a metric by its name: its direction, and its score by chance."""

from typing import Literal

Mode = Literal["max", "min"]

_HIGH = (
    "accuracy auc balanced_accuracy binary_accuracy categorical_accuracy f1 gauc iou macro_auc "
    "macro_f1 mcc ndcg pr_auc precision r2 recall span_f1 sparse_categorical_accuracy spearman"
)
_LOW = (
    "brier calibration_error log_loss mae mape mean_absolute_error mean_squared_error mse rmse "
    "root_mean_squared_error"
)

MODES: dict[str, Mode] = {
    **dict.fromkeys(_HIGH.split(), "max"),
    **dict.fromkeys(_LOW.split(), "min"),
}
"""Whether a metric is better high or low, by its name."""

CHANCES = {"auc": 0.5, "gauc": 0.5, "macro_auc": 0.5, "mcc": 0.0, "r2": 0.0, "spearman": 0.0}
"""The score of a prediction that knows nothing, for metrics whose score does not depend on data."""


def check_mode(mode: str | None, metric: str, task: str | None = None) -> Mode:
    """Returns the direction of a metric: the one that the user stated, or that of its name.

    Raises:
        ValueError: If neither is known.
    """
    where = "" if task is None else f"task {task!r}: "
    mode = MODES.get(metric) if mode is None else mode
    if mode == "max":
        return "max"
    if mode == "min":
        return "min"
    if mode is None:
        raise ValueError(
            f"{where}whether {metric!r} is better high or low is not known; state 'max' or 'min'."
        )
    raise ValueError(f"{where}the direction of {metric!r} is {mode!r}; expected 'max' or 'min'.")


def sign_of(mode: Mode) -> float:
    """Returns 1 for a metric that is better high, and -1 for one that is better low."""
    return 1.0 if mode == "max" else -1.0
