"""Readers of MovieLens: stars that people gave to films, from the files of others.

`read` takes a folder with the files of one of these sets:

    ml-100k.inter, ml-100k.item, ml-100k.user   MovieLens-100k, as RecBole packs it
    u.data, u.item, u.user                      MovieLens-100k, as GroupLens does
    ratings.csv, movies.csv                     MovieLens-latest-small, without people

The licence of MovieLens forbids to pass the files on, so nothing of them is kept here.
"""

import csv
import dataclasses
import pathlib
import re

import numpy as np

GENRES = (  # in the order of the columns of u.item
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime"),
    *("Documentary", "Drama", "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery"),
    *("Romance", "Sci-Fi", "Thriller", "War", "Western"),
)
_YEAR = re.compile(r"^(.*?)\s*\((\d{4})[^)]*\)\s*$")


@dataclasses.dataclass(frozen=True)
class Film:
    """Holds the title of a film, its year (`None` if not known) and its genres."""

    title: str
    year: int | None
    genres: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Person:
    """Holds what is known of a person."""

    age: float
    gender: str
    occupation: str


@dataclasses.dataclass(frozen=True)
class Ratings:
    """Holds ratings `[n]` in the order of their times, and films and people by identifier."""

    people: np.ndarray
    films: np.ndarray
    stars: np.ndarray
    times: np.ndarray
    film_of: dict[int, Film]
    person_of: dict[int, Person]


def read(folder):
    """Reads the ratings, films and people of a folder.

    Raises:
        FileNotFoundError: If it holds none of the three sets of files.
        ValueError: If a file has other columns, or a film that was rated is not listed.
    """
    folder = pathlib.Path(folder)
    for names, reader in _READERS.items():
        if all((folder / name).is_file() for name in names):
            rows, film_of, person_of = reader(*(folder / name for name in names))
            break
    else:
        sets = "; or ".join(", ".join(names) for names in _READERS)
        present = sorted(path.name for path in folder.glob("*")) or "nothing"
        raise FileNotFoundError(f"{folder} holds {present}; expected {sets}.")
    table = np.asarray(rows, float)
    people, films, stars, times = table[np.lexsort((table[:, 1], table[:, 0], table[:, 3]))].T
    if unknown := sorted({*films.astype(int).tolist()} - {*film_of}):
        raise ValueError(f"{folder}: films {unknown[:5]} have ratings, but no title.")
    return Ratings(people.astype(int), films.astype(int), stars, times, film_of, person_of)


def _read_recbole(interactions, items, users):
    """Reads tables whose header holds names and types."""

    def table(path, names):
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            header = [name.partition(":")[0] for name in rows.fieldnames or ()]
            if missing := [name for name in names if name not in header]:
                raise ValueError(f"{path} has the columns {header}; expected also {missing}.")
            rows.fieldnames = header
            yield from ([row[name] for name in names] for row in rows)

    film_of = {
        int(item): Film(title, int(year) if year.isdigit() else None, tuple(genres.split()))
        for item, title, year, genres in table(
            items, ["item_id", "movie_title", "release_year", "class"]
        )
    }
    person_of = {
        int(user): Person(float(age), gender, occupation)
        for user, age, gender, occupation in table(
            users, ["user_id", "age", "gender", "occupation"]
        )
    }
    return [*table(interactions, ["user_id", "item_id", "rating", "timestamp"])], film_of, person_of


def _read_100k(ratings, items, users):
    """Reads tables without a header, in which a genre is a column."""

    def table(path, separator, width):
        for number, line in enumerate(path.read_text(encoding="latin-1").split("\n"), 1):
            cells = line.rstrip("\r").split(separator)
            if line.strip() and len(cells) != width:
                raise ValueError(f"{path}, line {number}: {len(cells)} columns; expected {width}.")
            if line.strip():
                yield cells

    film_of = {
        int(item): Film(
            *_title_and_year(title),
            tuple(name for name, flag in zip(GENRES, flags, strict=True) if flag == "1"),
        )
        for item, title, _, _, _, *flags in table(items, "|", 5 + len(GENRES))
    }
    person_of = {
        int(user): Person(float(age), gender, occupation)
        for user, age, gender, occupation, _ in table(users, "|", 5)
    }
    return [*table(ratings, "\t", 4)], film_of, person_of


def _read_latest(ratings, movies):
    """Reads tables with a header, in which titles may be quoted."""

    def table(path, names):
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file)
            if [*(rows.fieldnames or ())] != names:
                raise ValueError(f"{path} has the columns {rows.fieldnames}; expected {names}.")
            yield from (list(row.values()) for row in rows)

    film_of = {}
    for movie, title, genres in table(movies, ["movieId", "title", "genres"]):
        listed = () if genres.startswith("(") else tuple(genres.split("|"))
        film_of[int(movie)] = Film(*_title_and_year(title), listed)
    return [*table(ratings, ["userId", "movieId", "rating", "timestamp"])], film_of, {}


def _title_and_year(text):
    match = _YEAR.match(text)
    return (match[1], int(match[2])) if match else (text.strip(), None)


_READERS = {
    ("ml-100k.inter", "ml-100k.item", "ml-100k.user"): _read_recbole,
    ("u.data", "u.item", "u.user"): _read_100k,
    ("ratings.csv", "movies.csv"): _read_latest,
}
