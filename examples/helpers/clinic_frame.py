"""A made-up clinic as a data frame: gaps, units, codes, dates and rare outcomes, of known truth."""

import numpy as np
import pandas as pd

OUTCOMES = ("died", "sepsis", "readmitted")
_LABS = 94


def make_clinic(rows=2000, seed=0):
    """Makes patients with 100 columns and three outcomes.

    Four hidden traits drive both the laboratory values, each in units of its own and missing for
    up to half of the patients, and the outcomes.

    Returns:
        The frame, and by outcome the true probability of each patient.
    """
    rng = np.random.default_rng(seed)
    shape = np.random.default_rng(0)  # the same laboratory for all patients
    traits = rng.normal(size=(rows, 4))
    loadings = shape.normal(size=(4, _LABS)) * (shape.random((4, _LABS)) < 0.3)
    units = 10 ** shape.uniform(-3, 4, _LABS)
    labs = (traits @ loadings + rng.normal(size=(rows, _LABS)) + 5) * units
    labs[rng.random(labs.shape) < shape.uniform(0, 0.5, _LABS)] = np.nan
    ward = rng.integers(1, 8, rows)
    logits = {
        "died": 1.5 * traits[:, 0] + 0.5 * (ward == 3) - 4.2,
        "sepsis": 1.2 * traits[:, 0] + traits[:, 1] - 5.2,
        "readmitted": 1.2 * traits[:, 2] - 2.0,
    }
    truth = {name: 1 / (1 + np.exp(-logit)) for name, logit in logits.items()}
    day = pd.Timestamp("2024-01-01", tz="Europe/Oslo")
    frame = pd.DataFrame(
        {f"lab_{place}": column for place, column in enumerate(labs.T)}
        | {
            "ward": ward,
            "sex": pd.Series(rng.choice(["f", "m"], rows)).mask(rng.random(rows) < 0.02),
            "smoker": pd.array(rng.choice([True, False, None], rows), dtype="boolean"),
            "visits": pd.Series(rng.poisson(2, rows), dtype="Int64").mask(rng.random(rows) < 0.1),
            "admitted": day + pd.to_timedelta(rng.integers(0, 700, rows), unit="D"),
            "site": pd.Series(["main"] * rows, dtype="category"),
        }
        # One outcome in twenty was not recorded.
        | {
            name: np.where(rng.random(rows) < 0.05, np.nan, rng.random(rows) < probability)
            for name, probability in truth.items()
        }
    )
    return frame, truth
