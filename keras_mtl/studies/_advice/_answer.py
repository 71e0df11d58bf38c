"""Share all, share these groups, or do not share."""

from typing import Literal

from keras_mtl.analysis._verdicts._texts import percent
from keras_mtl.studies._advice._short_list import SHARE_GROUPS
from keras_mtl.studies._contenders._contender import BASELINE
from keras_mtl.studies._study import Study
from keras_mtl.studies._verdicts._best import validation_scores

Answer = Literal["share all", "share groups", "do not share"]


def find_answer(study: Study) -> tuple[Answer, str, str]:
    """Returns the answer, the contender that it rests on, and the reason in a sentence.

    The contender with the highest mean gain on validation data is asked: if its mean gain on test
    rows is above 0 beyond chance, sharing is advised in its way. Everything else is "do not share":
    nothing shows then that sharing is worth its risk.
    """
    means = {}
    for name in study.comparisons:
        scores = validation_scores(study, name)
        if scores:
            means[name] = sum(scores.values()) / len(scores)
    if not means:
        return "do not share", BASELINE, "no contender could be trained"
    name = max(means, key=means.__getitem__)
    comparison = study.comparisons[name]
    interval = f"[{percent(comparison.gain_lower)}, {percent(comparison.gain_upper)}]"
    gain = f"its mean gain over one network per task is {percent(comparison.gain)} % {interval}"
    best = f"{name!r} is the best contender on validation data"
    if comparison.verdict == "helped":
        hurt = [row.task for row in comparison.rows if row.verdict == "hurt"]
        harm = f", but it hurts {', '.join(hurt)}" if hurt else ""
        answer: Answer = "share groups" if name == SHARE_GROUPS else "share all"
        return answer, name, f"{best}, and on test rows {gain}{harm}"
    words = {
        "hurt": "which is worse",
        "undecided": "which may be chance",
        "no difference": "which is no difference that counts",
    }
    return "do not share", name, f"{best}, but on test rows {gain}, {words[comparison.verdict]}"
