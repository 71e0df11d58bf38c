"""A synthetic funnel: impressions, clicks, conversions and dwell times, with known truth.

A user u sees an item v. With their hidden tastes and traits a_u and b_v, and the part r of the
utility that no feature shows (the mood of the moment),

    click:       p = sigmoid(2 a_u . b_v + activity_u + popularity_v + r - 2)
    conversion:  p = sigmoid(1.5 a_u . W b_v + SELECTION (a_u . b_v + r) - 1.2)
    log dwell:   1 + a_u . b_v + noise, where there was a click

Whoever clicks is also more ready to buy: SELECTION makes conversions among clicks more frequent
than they would be among all impressions, partly through r, which no network can see.
"""

import dataclasses

import numpy as np
from scipy.special import expit
from scipy.stats import norm

USERS, ITEMS, TASTES, TERMS = 400, 300, 5, 40
SELECTION = 1.0
_DRAWS = 64  # quantiles of the hidden part, over which true probabilities are averaged


@dataclasses.dataclass
class Impressions:
    """Holds inputs by name, labels by task (NaN without a click), and true probabilities."""

    inputs: dict
    labels: dict
    truth: dict


def _population(seed):
    """Returns tastes of users, traits of items, levels of both, W, and the terms of the items."""
    rng = np.random.default_rng(seed)
    users, items = (rng.normal(size=(n, TASTES)) / TASTES**0.5 for n in (USERS, ITEMS))
    activity, popularity = rng.normal(0, 0.5, USERS), rng.normal(0, 0.7, ITEMS)
    turn = np.linalg.qr(rng.normal(size=(TASTES, TASTES)))[0]
    # A text with 12 terms per item; which terms come depends on its traits.
    chances = np.exp(2 * items @ rng.normal(size=(TASTES, TERMS)))
    chances /= chances.sum(axis=1, keepdims=True)
    terms = np.array([rng.multinomial(12, row) for row in chances])
    age = users @ rng.normal(size=(TASTES, 4)) + rng.normal(0, 0.5, (USERS, 4))
    return users, items, activity, popularity, turn, np.log1p(terms), age


def make(rows, seed, population=0):
    """Draws impressions: a user at random, items by their popularity."""
    users, items, activity, popularity, turn, terms, profile = _population(population)
    rng = np.random.default_rng([seed, population])
    u = rng.integers(0, USERS, rows)
    v = rng.choice(ITEMS, rows, p=np.exp(popularity) / np.exp(popularity).sum())
    fit = (users[u] * items[v]).sum(axis=1)
    shown = {
        "click": 2 * fit + activity[u] + popularity[v] - 2,
        "conversion": 1.5 * (users[u] @ turn * items[v]).sum(axis=1) + SELECTION * fit - 1.2,
    }

    def probabilities(mood):
        return expit(shown["click"] + mood), expit(shown["conversion"] + SELECTION * mood)

    click_p, buy_p = probabilities(rng.normal(size=rows))
    click = rng.random(rows) < click_p
    conversion = rng.random(rows) < buy_p
    # What a perfect network would say: the mean over the hidden part.
    moods = [probabilities(mood) for mood in norm.ppf((np.arange(_DRAWS) + 0.5) / _DRAWS)]
    truth = {
        "click": np.mean([c for c, _ in moods], axis=0),
        "conversion": np.mean([b for _, b in moods], axis=0),
        "purchase": np.mean([c * b for c, b in moods], axis=0),
    }
    dwell = 1 + fit + rng.normal(0, 0.5, rows)
    labels = {
        "click": click.astype("float32"),
        "conversion": np.where(click, conversion, np.nan).astype("float32"),
        "purchase": (click & conversion).astype("float32"),
        "dwell": np.where(click, dwell, np.nan).astype("float32"),
    }
    inputs = {
        "user": u.astype("int32"),
        "item": v.astype("int32"),
        "profile": profile[u].astype("float32"),
        "text": terms[v].astype("float32"),
    }
    return Impressions(inputs, labels, truth)
