"""What the networks reach on the test parts, and how fast an answer comes."""

import time

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from . import tickets
from .network import vectors
from .retrieval import UNITS


def figures(network, encoder, test):
    """Returns by name the figures of those tasks that the network has."""
    names, result = set(network.output), {}
    for name, task in (("reviews", "mood"), ("commands", "intent"), ("tickets", "urgency")):
        if task in names:
            x, y = test[name][:2]
            guess = predict(network, x)[task]
            guess = guess.argmax(-1) if guess.shape[-1] > 1 else guess[:, 0] > 0.5
            result[task] = float(np.mean(guess == y[task].reshape(len(guess))))
    if "slots" in names:
        x, y, w = test["commands"]
        guess, valid = predict(network, x)["slots"].argmax(-1), w["slots"] > 0
        result["slots"] = slot_f1(y["slots"], guess, valid)
    if "answer" in names:
        result |= answers(network, encoder, test["tickets"])
    return result


def predict(network, x):
    """Returns the outputs for arrays, computed in pieces; the answer's words may be missing."""
    x = {"answer_words": 0 * x["words"]} | x
    x = {name: x[name] for name in network.input}
    size = len(x["words"])
    parts = [
        network({name: values[k : k + 500] for name, values in x.items()}, training=False)
        for k in range(0, size, 500)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def answers(network, encoder, rows):
    """Returns how often the best answer comes first, for answers seen in training and for new ones.

    The candidates are all answers, seen and new.
    """
    x, y = rows[:2]
    bank = np.array(vectors(network, encoder(np.array(tickets.ANSWERS, object))))
    first = (predict(network, x)["answer"][:, :UNITS] @ bank.T).argmax(-1)
    right = first == y["answer"].reshape(-1)
    unseen = [tickets.PAIRS.index(pair) for pair in tickets.UNSEEN]
    new = np.isin(y["answer"].reshape(-1), unseen)
    return {"answer": float(right[~new].mean()), "new answer": float(right[new].mean())}


def slot_f1(labels, guesses, valid):
    """Computes F1 over words that are part of a slot, right where the tag is the right one."""
    outside = np.bincount(labels[valid]).argmax()  # most words are in no slot
    there, said = (labels != outside) & valid, (guesses != outside) & valid
    right = (there & (labels == guesses)).sum()
    return float(2 * right / max(there.sum() + said.sum(), 1))


def linear(texts, test_texts, labels, test_labels):
    """Returns the accuracy of logistic regression on TF-IDF of words and pairs of words."""
    counts = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    model = LogisticRegression(C=10, max_iter=500).fit(counts.fit_transform(texts), labels)
    return float(model.score(counts.transform(test_texts), test_labels))


def latency(ask, texts, rounds=300):
    """Returns milliseconds that an answer takes, the median and the 99th percentile, one by one."""
    for text in texts[:20]:
        ask(text)
    times = []
    for k in range(rounds):
        start = time.perf_counter()
        ask(texts[k % len(texts)])
        times.append(1000 * (time.perf_counter() - start))
    return np.percentile(times, [50, 99])
