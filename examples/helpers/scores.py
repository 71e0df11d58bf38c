"""Figures that the examples print, in NumPy."""

import numpy as np


def accuracy(labels, probabilities, weights=None):
    """Computes the share of labels with weight whose class is the most probable one."""
    several = probabilities.shape[-1] > 1
    best = probabilities.argmax(-1) if several else probabilities[..., 0] > 0.5
    return float(np.average(labels == best, weights=weights))


def auc(labels, scores):
    """Computes the probability that a positive scores higher than a negative; ties count half."""
    _, ranks, counts = np.unique(scores, return_inverse=True, return_counts=True)
    below = np.cumsum(counts) - counts
    positive = labels > 0
    wins = (below + (counts + 1) / 2)[ranks][positive].sum()
    positives, negatives = positive.sum(), (~positive).sum()
    return float((wins - positives * (positives + 1) / 2) / (positives * negatives))


def mean_auc(labels, scores):
    """Averages AUCs over columns; NaN is a missing label, and columns of one class are left out."""
    values = []
    for column_labels, column_scores in zip(labels.T, scores.T, strict=True):
        labeled = ~np.isnan(column_labels)
        if len(np.unique(column_labels[labeled])) == 2:
            values.append(auc(column_labels[labeled], column_scores[labeled]))
    return float(np.mean(values))


def spans(tags):
    """Finds the entities in a sentence of IOB2 tags, as conlleval does: (kind, start, end)."""
    entities, kind, start = set(), None, 0
    for position, tag in enumerate([*tags, "O"]):
        prefix, _, tag_kind = tag.partition("-")
        if kind is not None and (prefix != "I" or tag_kind != kind):
            entities.add((kind, start, position))
            kind = None
        if kind is None and prefix != "O":
            kind, start = tag_kind, position
    return entities


def span_f1(names, labels, probabilities, weights):
    """Computes the micro F1 of entities; one is right if kind, start and end are.

    `names` are the names of the tags.
    """
    counts = np.zeros(3)
    best = probabilities.argmax(-1)
    for expected, predicted, weighted in zip(labels, best, weights > 0, strict=True):
        true = spans([names[tag] for tag in expected[weighted]])
        guessed = spans([names[tag] for tag in predicted[weighted]])
        counts += len(true & guessed), len(true), len(guessed)
    return float(2 * counts[0] / max(counts[1] + counts[2], 1))


def likely_tags(names, probabilities, weights):
    """Finds the most probable IOB2 tags without an I after another kind, one-hot over classes.

    Viterbi's algorithm; words without weight are padding and come last.
    """
    kinds = np.array([name.partition("-")[2] for name in names])
    inside = np.array([name.startswith("I-") for name in names])
    step = np.where(inside & (kinds[:, None] != kinds), -np.inf, 0)  # from, to
    logs = np.where(weights[..., None] > 0, np.log(probabilities + 1e-12), 0)
    best, before = logs[:, 0] + np.where(inside, -np.inf, 0), []
    for word_logs in logs[:, 1:].swapaxes(0, 1):
        reached = best[:, :, None] + step
        before.append(reached.argmax(1))
        best = reached.max(1) + word_logs
    tags = [best.argmax(-1)]
    for best_before in reversed(before):
        tags.append(best_before[np.arange(len(best_before)), tags[-1]])
    return np.eye(len(names))[np.stack(tags[::-1], 1)]


def r_squared(labels, predicted, weights):
    """Computes the explained share of the variance of the labels with weight."""
    mean = np.average(labels, weights=weights)
    left = np.average((labels - predicted) ** 2, weights=weights)
    return float(1 - left / np.average((labels - mean) ** 2, weights=weights))
