"""Census-Income as two problems: three tasks of which none implies another, and a hidden label.

Nothing on Census is a funnel: who earns over 50,000 a year need not have a degree. Networks that
multiply probabilities (ESMM, ESCM2) are left out of the first problem for that reason. AITM takes
part without the penalty that a funnel would allow; it hands features on in the order of a life.

The second problem makes a funnel of a survey that asks graduates alone for their income:

    click = has a degree      conversion = earns over 50,000, known for graduates      both

The test rows have the incomes of all, so the bias of whoever was asked can be measured. Unlike the
bias of the synthetic shop, nobody designed it.
"""

import tempfile

import keras
import numpy as np
from sklearn.preprocessing import OneHotEncoder

from keras_mtl import Task, data, datasets

from .contest import Problem, Rows

LONG_TAILED = ("capital_gains", "capital_losses", "dividends", "wage_per_hour")
NUMBERS = 7  # of the encoded columns; the others are codes
UNITS, DROPOUT = 4, 0.2


def load(folder=None, config="full"):
    """Returns both problems; the folder keeps the prepared data."""
    with tempfile.TemporaryDirectory() as scratch:
        splits = ("train[:20%]", "train[90%:]", "test")
        place = {"config": config, "data_dir": folder or scratch, "batch_size": 8192}
        raw = [datasets.census_income(split, **place) for split in splits]
        encoder = data.tabular_encoder(raw[0], log=LONG_TAILED, bins=32)
        parts = [_read(batches, encoder) for batches in raw]
    one_hot = OneHotEncoder(handle_unknown="ignore").fit(parts[0].inputs[:, NUMBERS:])

    def features():
        embedded = data.embed_columns(encoder, units=UNITS, numeric="piecewise")
        return keras.layers.Dropout(DROPOUT, name="shared_dropout")(embedded)

    shared = {
        "features": features,
        "stem": lambda: (features(), (32,)),
        "budget": 40_000,
        "table": lambda rows, kind: _table(rows.inputs, kind, one_hot),
    }
    full = Problem(
        "Census, three tasks",
        *parts,
        tasks=[Task.binary(name, metrics=()) for name in ("never_married", "college", "income")],
        order=("never_married", "college", "income"),
        **shared,
    )
    asked = Problem(
        "Census, incomes of graduates alone",
        *(hide(part) for part in parts[:2]),
        _with_both(parts[2]),
        tasks=[Task.binary(name, metrics=()) for name in ("college", "income")],
        chain=("college", "income", "both"),
        **shared,
    )
    return [full, asked]


def _read(batches, encoder):
    rows = [(encoder(columns).numpy(), labels) for columns, labels in batches]
    names = [task.name for task in datasets.census_income_tasks()]
    labels = {name: np.concatenate([y[name] for _, y in rows]) for name in names}
    codes = np.concatenate([codes for codes, _ in rows])
    return Rows(codes, {name: values.astype("float32") for name, values in labels.items()})


def _with_both(rows):
    labels = {name: rows.labels[name] for name in ("college", "income")}
    return Rows(rows.inputs, labels | {"both": labels["college"] * labels["income"]})


def hide(rows):
    """Returns the rows as a survey has them that asks graduates alone for their income."""
    labels = _with_both(rows).labels
    labels["income"] = np.where(labels["college"] == 1, labels["income"], np.nan)
    return Rows(rows.inputs, labels)


def _table(codes, kind, one_hot):
    """Returns a matrix: codes for trees; for a linear model, a column for each code."""
    if kind == "trees":
        return codes
    import scipy.sparse

    numbers = scipy.sparse.csr_matrix(codes[:, :NUMBERS])
    return scipy.sparse.hstack([numbers, one_hot.transform(codes[:, NUMBERS:])], format="csr")
