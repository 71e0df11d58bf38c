"""The rule that leads from an interval to a verdict."""

from typing import Literal

from keras_mtl.analysis._verdicts._intervals import LEVEL

Word = Literal["helped", "hurt", "no difference", "undecided"]


def decide_verdict(lower: float, upper: float, corrected_p: float, margin: float) -> Word:
    """Returns the verdict on a gain.

    Args:
        lower: The lower end of the interval of the gain; NaN where there is none.
        upper: The upper end.
        corrected_p: The p-value after correction for all tests.
        margin: The smallest gain that counts.

    Returns:
        `"helped"` if the interval is above `margin`, and `"hurt"` if it is below `-margin`, both
        only if the corrected p-value is at most .05; `"no difference"` if the interval is within
        +-`margin` and `margin` is above 0; `"undecided"` otherwise.
    """
    if corrected_p <= 1.0 - LEVEL + 1e-12:
        if lower > margin:
            return "helped"
        if upper < -margin:
            return "hurt"
    if margin > 0.0 and -margin <= lower and upper <= margin:
        return "no difference"
    return "undecided"
