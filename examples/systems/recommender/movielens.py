"""Whether a person will like a film (4 stars or 5), and love it (5): a funnel of real ratings.

The first 80 % of the time train, the next 10 % validate, the last 10 % test. Features of a rating
are those that a service would have had when it was asked for: who and which film, age, gender and
occupation, the words of title and genres, and what had been rated before (`history`). Nothing of a
later time is among them, nor of the same second.
"""

import collections

import keras
import numpy as np
import scipy.sparse
import tensorflow as tf

from keras_mtl import Task, data

from . import films
from .contest import Problem, Rows

LIKED, LOVED = 4, 5
SEEN = 5  # an identifier with fewer ratings in the training part is number 0, "unknown"
WORDS, LENGTH, COMMON = 1000, 16, 40  # known words, words of a film, and those that trees get
TRUST = 5.0  # a share counts as much as so many ratings of the overall share
DROPOUT = 0.8  # of embeddings: with .5, validation rows are best after the first epoch
UNITS = 12  # of an embedding; STEM has three of 4


def load(folder):
    """Returns the problem of a folder with the files of MovieLens."""
    ratings = films.read(folder)
    first, second = cuts(ratings.times, (0.8, 0.9))
    parts = [slice(0, first), slice(first, second), slice(second, None)]
    place = {film: row for row, film in enumerate(ratings.film_of)}
    of_film = np.array([place[film] for film in ratings.films])
    facts = np.concatenate([_profile(ratings), history(ratings, parts[0])], axis=1)
    facts = (facts - facts[parts[0]].mean(0)) / np.maximum(facts[parts[0]].std(0), 1e-6)
    inputs = {
        "user": _number(ratings.people, parts[0]),
        "film": _number(ratings.films, parts[0]),
        "facts": facts.astype("float32"),
        "words": _words(ratings, of_film, parts[0]),
    }
    sizes = {name: int(inputs[name].max()) + 1 for name in ("user", "film")} | {"words": WORDS}
    rows = [
        Rows({k: v[part] for k, v in inputs.items()}, _labels(ratings.stars[part]), users)
        for part in parts
        for users in [ratings.people[part]]
    ]
    columns = facts.shape[1]
    return Problem(
        f"{len(ratings.stars):,} ratings",
        *rows,
        tasks=[Task.binary(name, metrics=()) for name in ("liked", "loved")],
        features=lambda: embed(sizes, UNITS)(make_inputs(columns)),
        stem=lambda: (make_inputs(columns), embed(sizes, UNITS // 3)),
        budget=60_000,
        table=lambda rows, kind: _table(rows.inputs, kind, sizes),
        chain=("liked", "loved_if_liked", "loved"),
        extra=Task.regression("stars", weight=0.5, metrics=()),
    )


def cuts(times, shares):
    """Returns where parts begin: near these shares of sorted times, never within one time."""
    return [int(np.searchsorted(times, times[int(share * len(times))])) for share in shares]


def _labels(stars):
    labels = {
        "liked": stars >= LIKED,
        "loved_if_liked": np.where(stars >= LIKED, stars >= LOVED, np.nan),
        "loved": stars >= LOVED,
        "stars": stars - 3.5,
    }
    return {name: values.astype("float32") for name, values in labels.items()}


def _number(identifiers, seen):
    """Numbers the identifiers that are frequent in a part from 1 on, and all others 0."""
    values, counts = np.unique(identifiers[seen], return_counts=True)
    known = values[counts >= SEEN]
    if not len(known):
        return np.zeros(len(identifiers), "int32")
    places = np.minimum(np.searchsorted(known, identifiers), len(known) - 1)
    return np.where(known[places] == identifiers, places + 1, 0).astype("int32")


def _words(ratings, of_film, seen):
    """Returns the numbers of the words of title and genres `[n, LENGTH]`, 0 for none."""
    texts = [" ".join([*film.genres, film.title]) for film in ratings.film_of.values()]
    rated = [texts[row] for row in np.unique(of_film[seen])]
    encoder = data.text_encoder(
        tf.data.Dataset.from_tensor_slices(rated).batch(256), length=LENGTH, max_tokens=WORDS
    )
    return encoder(tf.constant(texts)).numpy().astype("int32")[of_film]


def _profile(ratings):
    """Returns age, gender, occupation and the year of the film; 0 for what is not known."""
    people, occupations = ratings.person_of, [p.occupation for p in ratings.person_of.values()]
    names = sorted({*occupations})
    profiles = {
        identifier: [p.age, p.gender == "F", *(p.occupation == name for name in names)]
        for identifier, p in people.items()
    }
    blank = [0.0] * (2 + len(names))
    years = {identifier: film.year or 0 for identifier, film in ratings.film_of.items()}
    known = [year for year in years.values() if year]
    usual = float(np.median(known)) if known else 0.0
    return np.array(
        [
            [*profiles.get(person, blank), years[film] or usual]
            for person, film in zip(ratings.people, ratings.films, strict=True)
        ],
        float,
    )


def history(ratings, seen):
    """Computes what was known strictly before each rating, `[n, 9]`.

    That is for the person, for the film, and for the person and the film's genres together: the
    logarithm of 1 plus the number of ratings, and the shares of liked and loved ones, drawn
    towards those of the part `seen`.
    """
    stars = ratings.stars
    facts = np.stack([np.ones(len(stars)), stars >= LIKED, stars >= LOVED], axis=1)
    _, *prior = facts[seen].mean(axis=0).tolist()
    sums = collections.defaultdict(lambda: [0.0, 0.0, 0.0])
    totals, waiting = np.zeros((len(stars), 3, 3)), []
    rows = zip(ratings.people.tolist(), ratings.films.tolist(), ratings.times.tolist(), strict=True)
    last = None
    for row, (person, film, time) in enumerate(rows):
        if time != last:  # what has the same time does not count yet
            for key, fact in waiting:
                sums[key] = [a + b for a, b in zip(sums[key], fact, strict=True)]
            waiting, last = [], time
        genres = [(person, genre) for genre in ratings.film_of[film].genres]
        for place, group in enumerate(([("person", person)], [("film", film)], genres)):
            for key in group:
                if key in sums:
                    totals[row, place] += sums[key]
                waiting.append((key, facts[row].tolist()))
    counts = totals[:, :, :1]
    shares = (totals[:, :, 1:] + TRUST * np.array(prior)) / (counts + TRUST)
    return np.concatenate([np.log1p(counts), shares], axis=2).reshape(len(stars), 9)


def make_inputs(columns):
    """Returns the inputs of a network by name."""
    return {
        "user": keras.Input((), dtype="int32", name="user"),
        "film": keras.Input((), dtype="int32", name="film"),
        "facts": keras.Input((columns,), name="facts"),
        "words": keras.Input((LENGTH,), dtype="int32", name="words"),
    }


def embed(sizes, units):
    """Returns a recipe: embeddings of user and film, the facts, and a branch of the words."""

    def recipe(inputs):
        words = keras.layers.Embedding(sizes["words"], units, mask_zero=True)(inputs["words"])
        parts = [
            keras.layers.Embedding(sizes["user"], units)(inputs["user"]),
            keras.layers.Embedding(sizes["film"], units)(inputs["film"]),
            keras.layers.GlobalAveragePooling1D()(words),
        ]
        drop = keras.layers.Dropout(DROPOUT)
        facts = keras.layers.Dense(2 * units, activation="relu")(inputs["facts"])
        return keras.layers.Concatenate()([drop(keras.layers.Concatenate()(parts)), facts])

    return recipe


def _table(inputs, kind, sizes):
    """Returns a matrix: facts and common words for trees, all columns for a linear model."""
    known = inputs["words"] > 1
    rows = np.nonzero(known)[0]
    shape = len(known), sizes["words"]
    flags = scipy.sparse.csr_matrix((np.ones(len(rows)), (rows, inputs["words"][known])), shape)
    flags = flags.minimum(1)
    if kind == "trees":
        return np.hstack([inputs["facts"], flags[:, 2 : 2 + COMMON].toarray()])
    columns = [
        scipy.sparse.identity(sizes[name], format="csr")[inputs[name]] for name in ("user", "film")
    ]
    return scipy.sparse.hstack([inputs["facts"], *columns, flags], format="csr")
