"""The recommender on real data: readers of files, features without leaks, and a fair contest."""

import pathlib
import sys

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import log_loss

sys.path.append(str(pathlib.Path(__file__).parents[2] / "examples" / "systems"))

from recommender import __main__ as program
from recommender import contest, films, movielens, plain, surveys

# Identifiers are not in the order of the films; one film has no year, one name an accent.
FILMS = {
    7: ("Toy, The", 1995, ("Animation", "Comedy")),
    3: ("Misérables, Les", 1996, ("Drama", "Sci-Fi")),
    9: ("Good Morning", None, ()),
}
PEOPLE = {12: (24, "M", "technician"), 5: (53, "F", "other")}
STARS = [(12, 7, 5, 100), (5, 3, 3, 90), (5, 7, 4, 110), (12, 9, 1, 100)]


def title(name, year):
    return name if year is None else f"{name} ({year})"


def write_recbole(folder, ratings=STARS, titles=FILMS, people=PEOPLE):
    def write(name, header, rows):
        lines = ["\t".join(map(str, row)) for row in [header, *rows]]
        (folder / f"ml-100k.{name}").write_text("\n".join(lines) + "\n", encoding="utf-8")

    header = ["user_id:token", "item_id:token", "rating:float", "timestamp:float"]
    write("inter", header, ratings)
    header = ["item_id:token", "movie_title:token_seq", "release_year:token", "class:token_seq"]
    write("item", header, [(i, t, y or "unkonwn", " ".join(g)) for i, (t, y, g) in titles.items()])
    header = ["user_id:token", "age:token", "gender:token", "occupation:token", "zip_code:token"]
    write("user", header, [(i, *row, "85711") for i, row in people.items()])


def write_100k(folder):
    (folder / "u.data").write_text("".join("\t".join(map(str, row)) + "\n" for row in STARS))
    places = {"Animation": 3, "Comedy": 5, "Drama": 8, "Sci-Fi": 15}  # of 19 genres, by u.genre
    lines = []
    for i, (t, y, genres) in FILMS.items():
        flags = ["0"] * 19
        for genre in genres:
            flags[places[genre]] = "1"
        lines.append("|".join([str(i), title(t, y), "01-Jan-1995", "", "url", *flags]))
    (folder / "u.item").write_text("\n".join(lines) + "\n", encoding="latin-1")
    rows = [f"{i}|{age}|{gender}|{work}|85711\n" for i, (age, gender, work) in PEOPLE.items()]
    (folder / "u.user").write_text("".join(rows))


def write_latest(folder):
    rows = ["userId,movieId,rating,timestamp", *(",".join(map(str, row)) for row in STARS)]
    (folder / "ratings.csv").write_text("\n".join(rows) + "\n")
    rows = ["movieId,title,genres"]
    for i, (t, y, g) in FILMS.items():
        rows.append(f'{i},"{title(t, y)}",{"|".join(g) or "(no genres listed)"}')
    (folder / "movies.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


@pytest.mark.parametrize("write", [write_recbole, write_100k, write_latest])
def test_all_files_of_movielens_are_read_alike(tmp_path, write):
    write(tmp_path)
    ratings = films.read(tmp_path)
    # In the order of time; of one time, by person and film.
    assert [*zip(ratings.people, ratings.films, ratings.stars, ratings.times, strict=True)] == [
        (5, 3, 3, 90),
        (12, 7, 5, 100),
        (12, 9, 1, 100),
        (5, 7, 4, 110),
    ]
    assert ratings.film_of == {i: films.Film(*row) for i, row in FILMS.items()}
    people = {} if write is write_latest else PEOPLE
    assert ratings.person_of == {i: films.Person(*row) for i, row in people.items()}


def test_a_folder_without_the_files_or_with_other_columns_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds nothing; expected ml-100k.inter"):
        films.read(tmp_path)
    write_100k(tmp_path)
    (tmp_path / "u.data").write_text("1\t2\t3\t4\n1 2 3 4\n")
    with pytest.raises(ValueError, match=r"u.data, line 2: 1 columns; expected 4"):
        films.read(tmp_path)
    write_recbole(tmp_path, ratings=[*STARS, (5, 4, 3, 90)])
    with pytest.raises(ValueError, match=r"films \[4\] have ratings, but no title"):
        films.read(tmp_path)
    (tmp_path / "ml-100k.user").write_text("user_id:token\tage:token\n5\t53\n")
    with pytest.raises(ValueError, match=r"columns \['user_id', 'age'\]; expected also \['gender"):
        films.read(tmp_path)


def many(folder, rows=600, seed=0):
    rng = np.random.default_rng(seed)
    titles = {i: (f"film {i}", 1960 + i, ("Drama", "War")[: 1 + i % 2]) for i in range(1, 13)}
    people = {i: (20 + i, "FM"[i % 2], "artist") for i in range(1, 16)}
    times = rng.integers(0, 150, rows)  # several ratings per time
    ratings = zip(
        rng.integers(1, 16, rows),
        rng.integers(1, 13, rows),
        rng.integers(1, 6, rows),
        times,
        strict=True,
    )
    write_recbole(folder, ratings, titles, people)
    return folder


def test_history_counts_what_came_strictly_before(tmp_path):
    ratings = films.read(many(tmp_path))
    seen = slice(0, 400)
    computed = movielens.history(ratings, seen)
    liked, loved = ratings.stars >= 4, ratings.stars == 5
    genres = [{*ratings.film_of[film].genres} for film in ratings.films]
    for row in [0, 1, 57, 311, 599]:
        before = ratings.times < ratings.times[row]
        same = before & (ratings.people == ratings.people[row])
        # A film with two of the genres counts twice.
        common = np.array([len(genres[row] & other) for other in genres])
        weights = [same, before & (ratings.films == ratings.films[row]), same * common]
        for place, weight in enumerate(weights):
            expected = [np.log1p(weight.sum())]
            expected += [
                ((weight * fact).sum() + 5 * fact[seen].mean()) / (weight.sum() + 5)
                for fact in (liked, loved)
            ]
            np.testing.assert_allclose(computed[row, 3 * place : 3 * place + 3], expected)


def test_parts_are_cut_between_times_and_labels_are_a_funnel(tmp_path):
    ratings = films.read(many(tmp_path))
    first, second = movielens.cuts(ratings.times, (0.8, 0.9))
    for cut in (first, second):
        assert ratings.times[cut - 1] < ratings.times[cut]
    problem = movielens.load(tmp_path)
    assert len(problem.train.users) == first and len(problem.validation.users) == second - first
    labels = problem.train.labels
    assert (labels["loved"] <= labels["liked"]).all()
    np.testing.assert_array_equal(np.isnan(labels["loved_if_liked"]), labels["liked"] == 0)
    np.testing.assert_array_equal(np.nan_to_num(labels["loved_if_liked"]), labels["loved"])


def test_no_feature_knows_a_later_rating(tmp_path):
    problem = movielens.load(many(tmp_path))
    path = tmp_path / "ml-100k.inter"
    rows = [line.split("\t") for line in path.read_text().splitlines()]
    last = sorted(float(row[3]) for row in rows[1:])[-60]
    changed = [
        [row[0], row[1], str(6 - int(row[2])), row[3]] if float(row[3]) >= last else row
        for row in rows[1:]
    ]
    path.write_text("\n".join("\t".join(row) for row in [rows[0], *changed]) + "\n")
    other = movielens.load(tmp_path)
    for before, after in ((problem.train, other.train), (problem.validation, other.validation)):
        for name, values in before.inputs.items():
            np.testing.assert_array_equal(values, after.inputs[name], name)
    assert (problem.test.inputs["facts"] != other.test.inputs["facts"]).any()


def test_identifiers_that_are_rare_in_training_are_unknown():
    identifiers = np.array([8, 8, 8, 8, 8, 2, 4, 4, 4, 4, 4, 8, 3, 2])
    numbers = movielens._number(identifiers, slice(0, 11))
    assert numbers.tolist() == [2, 2, 2, 2, 2, 0, 1, 1, 1, 1, 1, 2, 0, 0]
    assert movielens._number(identifiers, slice(0, 3)).tolist() == [0] * 14


@pytest.fixture(scope="module")
def problem(tmp_path_factory):
    return movielens.load(many(tmp_path_factory.mktemp("movielens")))


def test_networks_are_of_about_one_size(problem):
    for name in ("hard sharing", "STEM"):
        ((build, _),) = contest.contenders(problem)[name]
        count = build(contest.fitted_width(build, problem.budget)).count_params()
        assert 0.85 * problem.budget < count <= problem.budget, name
    with pytest.raises(ValueError, match="no network of the kind has at most 100 parameters"):
        contest.fitted_width(build, 100)


@pytest.mark.slow
def test_a_contender_gives_predictions_of_all_tasks_and_the_best_epoch(problem, monkeypatch):
    monkeypatch.setattr(contest, "fitted_width", lambda build, budget: 8)
    for name in ("AITM", "ESCM2, DR"):
        guess = contest.run(problem, name, seeds=2, epochs=1)
        assert {*guess} == {"liked", "loved"}
        assert all(values.shape == (2, len(problem.test.users)) for values in guess.values())
        assert (guess["loved"] <= guess["liked"] + 0.5).all()
    ((build, tasks),) = contest.contenders(problem)["ESMM"]
    trainer = contest.Trainer(problem, lambda: build(8), tasks, 4)
    first, _, best = (trainer.fit(rate=0.3, seed=seed) for seed in (0, 1, 0))
    assert best.loss == pytest.approx(first.loss, rel=1e-4)  # nothing is left of seed 1
    guess = contest.predict(trainer.network, problem.validation.inputs)
    losses = [
        log_loss(problem.validation.labels[name], guess[name], labels=[0, 1])
        for name in ("liked", "loved")
    ]
    # With so high a rate, the last epoch is not the best one.
    assert best.loss == pytest.approx(np.mean(losses), rel=1e-3) and best.epoch < 4


def test_what_a_network_of_the_chain_does_not_predict_is_computed():
    chain = ("click", "buy", "both")
    click, buy = np.array([0.5, 0.2]), np.array([0.4, 0.5])
    both = contest.complete({"click": click, "buy": buy}, chain)["both"]
    np.testing.assert_allclose(both, [0.2, 0.1])
    np.testing.assert_allclose(contest.complete({"click": click, "both": both}, chain)["buy"], buy)
    assert {*contest.complete({"buy": buy}, chain)} == {"buy"}
    labels = np.array([1, np.nan, 0])
    assert contest.log_loss(labels, np.array([0.9, 0.1, 0.4])) == pytest.approx(
        log_loss([1, 0], [0.9, 0.4])
    )


def test_the_trees_are_those_that_validation_rows_choose(problem, monkeypatch):
    monkeypatch.setattr(plain, "TREES", 12)
    chosen = plain.boosted(problem)["loved"]
    x, x_held, x_test = (
        problem.table(part, "trees") for part in (problem.train, problem.validation, problem.test)
    )
    labels, held = problem.train.labels["loved"], problem.validation.labels["loved"]
    tried = []
    for leaves in (8, 24):
        for count in range(1, 13):
            trees = HistGradientBoostingClassifier(
                learning_rate=0.08, max_iter=count, max_leaf_nodes=leaves, early_stopping=False
            ).fit(x, labels)
            loss = log_loss(held, trees.predict_proba(x_held)[:, 1])
            tried.append((loss, trees.predict_proba(x_test)[:, 1]))
    np.testing.assert_allclose(chosen, min(tried, key=lambda pair: pair[0])[1], rtol=1e-6)
    assert plain.linear(problem)["liked"].shape == chosen.shape


def test_a_survey_that_asks_graduates_hides_the_incomes_of_the_others():
    labels = {"college": np.array([1, 0, 1, 0]), "income": np.array([1, 1, 0, 0])}
    rows = surveys.hide(contest.Rows(np.zeros((4, 1)), labels))
    np.testing.assert_array_equal(rows.labels["income"], [1, np.nan, 0, np.nan])
    np.testing.assert_array_equal(rows.labels["both"], [1, 0, 0, 0])
    np.testing.assert_array_equal(rows.labels["college"], labels["college"])
    assert labels["income"][1] == 1  # the rows themselves are as before


@pytest.mark.slow
def test_the_commands_print_a_row_per_contender(tmp_path, capsys):
    many(tmp_path)
    names = ["--networks", "constant", "hard sharing", "hard sharing, and stars", "STEM"]
    few = ["--seeds", "2", "--epochs", "1"]
    ((predictions),) = program.main(["movielens", "--data-dir", str(tmp_path), *few, *names])
    assert {*predictions} == {contest.SINGLE, *names[1:]}
    assert "| liked AUC | liked GAUC | liked log loss |" in capsys.readouterr().out
    names = ["--networks", "linear", "AITM", "--config", "small", "--data-dir", str(tmp_path)]
    three, two = program.main(["census", *few, *names])
    assert {*three["AITM"]} == {"never_married", "college", "income"}
    assert {*two["AITM"]} == {"college", "income"}
    assert "income bias, %" in capsys.readouterr().out
    with pytest.raises(SystemExit, match=r"\['ESMN'\] are no contenders here"):
        program.main(["census", *few, *names[3:], "--networks", "ESMN"])
