"""Streams with planted shifts: how many alarms are false, and how late are the right ones?"""

import numpy as np

from .alarms import first_alarms


def draw(scores, positive, share, shape, rng):
    """Draws scores with replacement, with this share of positive texts."""
    kinds = [scores[positive == 0], scores[positive == 1]]
    mood = rng.random(shape) < share
    return np.where(mood, rng.choice(kinds[1], shape), rng.choice(kinds[0], shape))


def false_alarms(test, scores, positive, share, length, streams, rng):
    """Returns the number of first alarms in streams without a shift, and the scores watched."""
    first = first_alarms(test, draw(scores, positive, share, (streams, length), rng))
    return int(np.isfinite(first).sum()), int(np.minimum(first, length).sum())


def delays(test, scores, positive, shares, before, after, streams, rng):
    """Returns the delay of the first alarm after a shift, in scores, of streams quiet until then.

    A stream has `before` scores with the first share of positive texts, then `after` with the
    second one. Streams with an alarm before the shift are false alarms and left out here.
    """
    parts = [
        draw(scores, positive, share, (streams, length), rng)
        for share, length in zip(shares, (before, after), strict=True)
    ]
    first = first_alarms(test, np.concatenate(parts, axis=1))
    return first[first > before] - before
