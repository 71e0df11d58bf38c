"""Active learning: which label of which task to buy next, under a budget.

    Pool                  rows with some labels: asks for the next ones, takes the answers
    score                 how little a network knows of each label of some rows
    gradient_embeddings   what each label would change in the last layer (BADGE)
    choose                labels with the most worth per cost, or drawn apart from each other
    Picks, Pick           what to buy; GradientEmbedding, what `gradient_embeddings` returns
    entropy, least_confidence, margin, bald   the rules on arrays of probabilities

A label is that of one row for one task, and tasks may have different costs. All of this runs
outside of `fit`: your own loop asks, buys, answers and trains. Helpers: `_asking` runs networks,
reads distributions, and keeps costs.
"""

from keras_mtl.active._bald import bald
from keras_mtl.active._choose import choose
from keras_mtl.active._entropy import entropy
from keras_mtl.active._gradient_embedding import GradientEmbedding
from keras_mtl.active._gradient_embeddings import gradient_embeddings
from keras_mtl.active._least_confidence import least_confidence
from keras_mtl.active._margin import margin
from keras_mtl.active._picks import Pick, Picks
from keras_mtl.active._pool import Pool
from keras_mtl.active._score import score

__all__ = [
    "GradientEmbedding",
    "Pick",
    "Picks",
    "Pool",
    "bald",
    "choose",
    "entropy",
    "gradient_embeddings",
    "least_confidence",
    "margin",
    "score",
]
