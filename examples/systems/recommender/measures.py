"""Figures of predictions, against labels and against the true probabilities."""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score

COLUMNS = (
    "click AUC",
    "click GAUC",
    "conversion AUC",
    "purchase AUC",
    "purchase log loss",
    "calibration",
    "bias",
    "error",
    "dwell R²",
)


def group_auc(labels, scores, groups):
    """Computes the mean AUC of users that have both labels, weighted by their impressions."""
    aucs, sizes = [], []
    for group in np.unique(groups):
        rows = groups == group
        if 0 < labels[rows].mean() < 1:
            aucs.append(roc_auc_score(labels[rows], scores[rows]))
            sizes.append(rows.sum())
    return float(np.average(aucs, weights=sizes))


def calibration(labels, scores, bins=10):
    """Computes the mean distance between predicted and observed rates, in bins of equal size."""
    order = np.array_split(np.argsort(scores), bins)
    gaps = [abs(labels[rows].mean() - scores[rows].mean()) * len(rows) for rows in order]
    return float(sum(gaps) / len(scores))


def figures(predicted, rows):
    """Returns the figures by column.

    `bias` is the mean conversion rate that is predicted, minus the true one, over all impressions,
    in percent of the true one; `error` is the root mean square of the difference.
    """
    labels, truth = rows.labels, rows.truth["conversion"]
    clicked = labels["click"] == 1
    rate = np.clip(predicted["conversion"], 0, 1)
    result = {
        "click AUC": roc_auc_score(labels["click"], predicted["click"]),
        "click GAUC": group_auc(labels["click"], predicted["click"], rows.inputs["user"]),
        "conversion AUC": roc_auc_score(labels["conversion"][clicked], rate[clicked]),
        "purchase AUC": roc_auc_score(labels["purchase"], predicted["purchase"]),
        "purchase log loss": log_loss(labels["purchase"], np.clip(predicted["purchase"], 1e-6, 1)),
        "calibration": calibration(labels["purchase"], predicted["purchase"]),
        "bias": 100 * (rate.mean() / truth.mean() - 1),
        "error": float(np.sqrt(np.mean((rate - truth) ** 2))),
    }
    if "dwell" in predicted:
        y, guess = labels["dwell"][clicked], predicted["dwell"][clicked]
        result["dwell R²"] = float(1 - np.mean((y - guess) ** 2) / y.var())
    return result


def constant(train, test):
    """Returns the rates of the training part as predictions for every impression."""
    rates = {name: np.nanmean(train.labels[name]) for name in train.labels}
    return {name: np.full(len(test.truth["click"]), rate) for name, rate in rates.items()}


def linear(train, test):
    """Returns predictions of logistic regressions on profile, text and one column per user, item.

    The conversion is learned from clicks alone.
    """
    x, x_test = (_table(rows.inputs) for rows in (train, test))
    clicked = train.labels["click"] == 1
    click = LogisticRegression(max_iter=300).fit(x, train.labels["click"])
    conversion = LogisticRegression(max_iter=300)
    conversion.fit(x[clicked], train.labels["conversion"][clicked])
    result = {
        "click": click.predict_proba(x_test)[:, 1],
        "conversion": conversion.predict_proba(x_test)[:, 1],
    }
    return result | {"purchase": result["click"] * result["conversion"]}


def _table(inputs):
    import scipy.sparse

    eye = [scipy.sparse.identity(inputs[name].max() + 1, format="csr") for name in ("user", "item")]
    sparse = [table[inputs[name]] for table, name in zip(eye, ("user", "item"), strict=True)]
    return scipy.sparse.hstack([*sparse, inputs["profile"], inputs["text"]], format="csr")
