"""Figures that the examples print, in NumPy."""

import numpy as np


def accuracy(labels, probabilities, weights=None):
    """The share of labels, of those with weight, whose class is the most probable one."""
    several = probabilities.shape[-1] > 1
    best = probabilities.argmax(-1) if several else probabilities[..., 0] > 0.5
    return float(np.average(labels == best, weights=weights))


def auc(labels, scores):
    """The probability that a positive scores higher than a negative; ties count half."""
    _, ranks, counts = np.unique(scores, return_inverse=True, return_counts=True)
    below = np.cumsum(counts) - counts
    positive = labels > 0
    wins = (below + (counts + 1) / 2)[ranks][positive].sum()
    positives, negatives = positive.sum(), (~positive).sum()
    return float((wins - positives * (positives + 1) / 2) / (positives * negatives))


def mean_auc(labels, scores):
    """The mean over columns; NaN is a missing label, and columns of one class are left out."""
    values = []
    for own, column in zip(labels.T, scores.T, strict=True):
        there = ~np.isnan(own)
        if len(np.unique(own[there])) == 2:
            values.append(auc(own[there], column[there]))
    return float(np.mean(values))


def spans(tags):
    """The entities in a sentence of IOB2 tags, as conlleval counts: (kind, start, end)."""
    found, kind, start = set(), None, 0
    for place, tag in enumerate([*tags, "O"]):
        prefix, _, own = tag.partition("-")
        if kind is not None and (prefix != "I" or own != kind):
            found.add((kind, start, place))
            kind = None
        if kind is None and prefix != "O":
            kind, start = own, place
    return found


def span_f1(names, labels, probabilities, weights):
    """Micro F1 of entities: right where kind, start and end are; the names are the tags'."""
    counts = np.zeros(3)
    best = probabilities.argmax(-1)
    for own, predicted, there in zip(labels, best, weights > 0, strict=True):
        true = spans([names[tag] for tag in own[there]])
        guessed = spans([names[tag] for tag in predicted[there]])
        counts += len(true & guessed), len(true), len(guessed)
    return float(2 * counts[0] / max(counts[1] + counts[2], 1))


def likely_tags(names, probabilities, weights):
    """The most probable IOB2 tags of which none is an I after another kind, as 0 or 1 a class.

    Viterbi's algorithm; words without weight are padding and come last.
    """
    kinds = np.array([name.partition("-")[2] for name in names])
    inside = np.array([name.startswith("I-") for name in names])
    step = np.where(inside & (kinds[:, None] != kinds), -np.inf, 0)  # from, to
    logs = np.where(weights[..., None] > 0, np.log(probabilities + 1e-12), 0)
    best, before = logs[:, 0] + np.where(inside, -np.inf, 0), []
    for own in logs[:, 1:].swapaxes(0, 1):
        reached = best[:, :, None] + step
        before.append(reached.argmax(1))
        best = reached.max(1) + own
    tags = [best.argmax(-1)]
    for each in reversed(before):
        tags.append(each[np.arange(len(each)), tags[-1]])
    return np.eye(len(names))[np.stack(tags[::-1], 1)]


def r_squared(labels, predicted, weights):
    """The share of the variance of the labels with weight that is explained."""
    mean = np.average(labels, weights=weights)
    left = np.average((labels - predicted) ** 2, weights=weights)
    return float(1 - left / np.average((labels - mean) ** 2, weights=weights))
