"""Test AUC on Census-Income (KDD): networks of several tasks, of one task, and boosted trees.

    python benchmarks/census.py --folder runs      # four rows, five seeds: more than an hour
    python benchmarks/census.py --folder runs --rows single_task,ple,cgc --trials 12
    python benchmarks/census.py --folder runs --rows all

Tasks are income above 50K, never married, and college. Nine tenths of the training part train, the
last tenth chooses, and the test part is looked at once for each seed. Every row has the same
number of trials: a network of several tasks in all, a network of one task and boosting for each
task. The first trial is a fixed one, the others are drawn at random, and are the same for all
networks. All networks are trained with AdamW and a cosine decay to 0 over the same number of
epochs; the weights of the last epoch count. A network of several tasks has about as many
parameters as one single-task network: the width of its layers is what fits the budget. The number
of trees is chosen by the validation rows (scikit-learn 1.7 or newer).

With `--folder`, the results of finished fits are kept in a file, and a run that was stopped goes
on where it was. Several processes may share a folder, each with other rows; the last one prints
all of them. On few cores that is faster, since the networks are small.
"""

import argparse
import dataclasses
import functools
import json
import tempfile
from pathlib import Path

import keras
import numpy as np
import page_tables
from scipy import stats
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from keras_mtl import architectures, compile_args, data, datasets
from keras_mtl.layers import PeriodicEmbedding

LONG_TAILED = ("capital_gains", "capital_losses", "dividends", "wage_per_hour")
BINS, UNITS = 48, 8
TOWER = (64,)
LEVELS = {"never_married": 0, "college": 0, "income": 1}

# The arguments of each builder as a function of the width of its layers.
BUILDERS = {
    "hard_sharing": lambda w: {"shared": (2 * w, w)},
    "partial_sharing": lambda w: {"body": (2 * w, w)},
    "soft_sharing": lambda w: {"body": (2 * w, w)},
    "hierarchical": lambda w: {"body": (2 * w, w), "levels": LEVELS},
    "cross_stitch": lambda w: {"body": (2 * w, w)},
    "sluice": lambda w: {"body": (2 * w, 2 * w)},
    "nddr": lambda w: {"body": (2 * w, w)},
    "moe": lambda w: {"expert": (2 * w, w)},
    "mmoe": lambda w: {"expert": (2 * w, w)},
    "ml_mmoe": lambda w: {"num_experts": 4, "expert": (w,)},
    "mmoeex": lambda w: {"expert": (2 * w, w)},
    "dselect_k": lambda w: {"expert": (2 * w, w)},
    "cgc": lambda w: {"expert": (2 * w, w)},
    "ple": lambda w: {"expert": (w,)},
    "home": lambda w: {"expert": (w,)},
    "snr": lambda w: {"subnetwork": (w,)},
    "mtan": lambda w: {"body": (2 * w, w)},
    "film": lambda w: {"body": (2 * w, w)},
    "ltb": lambda w: {"body": (2 * w, w)},
    "adashare": lambda w: {"stem": (w,), "body": (w, w)},
    "cascade": lambda w: {"shared": (2 * w, w)},
    "deep_bayesian": lambda w: {"shared": (2 * w, w)},
    "aitm": lambda w: {"shared": (2 * w,), "tower": (w, 64)},
    "low_rank": lambda w: {"body": (2 * w, w)},
    "tensor_factorized": lambda w: {"body": (2 * w, w)},
    "sparse": lambda w: {"tower": (2 * w, w, *TOWER)},
}


@dataclasses.dataclass(frozen=True)
class NetworkTrial:
    """Holds what is tuned of a network; `sigma` 0 stands for piecewise-linear numbers."""

    rate: float = 2e-3
    decay: float = 1e-4
    dropout: float = 0.15
    sigma: float = 0.0

    @classmethod
    def draw(cls, rng):
        """Returns a random trial."""
        return cls(
            rate=log_uniform(rng, 5e-4, 5e-3),
            decay=log_uniform(rng, 1e-5, 1e-1),
            dropout=float(rng.choice([0.0, 0.1, 0.2, 0.3])),
            sigma=float(rng.choice([0.0, 0.1, 0.3, 1.0, 3.0])),
        )


@dataclasses.dataclass(frozen=True)
class TreeTrial:
    """Holds what is tuned of boosting; the number of trees is chosen by early stopping."""

    rate: float = 0.1
    leaves: int = 31
    smallest_leaf: int = 20
    l2: float = 0.0
    categorical: bool = False

    @classmethod
    def draw(cls, rng):
        """Returns a random trial."""
        return cls(
            rate=log_uniform(rng, 0.02, 0.2),
            leaves=int(log_uniform(rng, 10, 100)),
            smallest_leaf=int(log_uniform(rng, 10, 100)),
            l2=log_uniform(rng, 1e-3, 10),
            categorical=bool(rng.integers(2)),
        )


def log_uniform(rng, low, high):
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def draw_trials(kind, count):
    rng = np.random.default_rng(0)
    return [kind(), *(kind.draw(rng) for _ in range(count - 1))]


class Census:
    """Holds the encoder, and codes and labels of the parts train, validation and test."""

    def __init__(self, config, folder):
        self.tasks = datasets.census_income_tasks()
        self.widths = {}
        splits = {"train": "train[:90%]", "validation": "train[90%:]", "test": "test"}
        raw = {
            part: datasets.census_income(split, config=config, batch_size=8192, data_dir=folder)
            for part, split in splits.items()
        }
        self.encoder = data.tabular_encoder(raw["train"], log=LONG_TAILED, bins=BINS)
        self.parts = {part: self._encode(batches) for part, batches in raw.items()}

    def _encode(self, batches):
        rows = [(self.encoder(columns).numpy(), labels) for columns, labels in batches]
        labels = {t.name: np.concatenate([y[t.name] for _, y in rows]) for t in self.tasks}
        return np.concatenate([codes for codes, _ in rows]), labels

    @functools.cached_property
    def categories(self):
        """Which of the codes are categories."""
        codes = self.parts["train"][0]
        numbers = data.embed_columns(self.encoder, units=1).shape[-1]
        lookups = [layer for layer in self.encoder.layers if hasattr(layer, "vocabulary_size")]
        return np.arange(codes.shape[1]) >= numbers - len(lookups)


def build(name, census, tasks, trial, width):
    """Builds a network of encoded columns."""
    numeric = PeriodicEmbedding(UNITS, sigma=trial.sigma) if trial.sigma else "piecewise"
    inputs = data.embed_columns(census.encoder, units=UNITS, numeric=numeric)
    inputs = keras.layers.Dropout(trial.dropout)(inputs)
    if name == "single_task":
        return architectures.single_task(inputs, tasks, tower=(2 * width, width, *TOWER))
    arguments = {"tower": TOWER} | BUILDERS[name](width)
    return getattr(architectures, name)(inputs, tasks, **arguments)


def fitted_width(name, census, tasks, trial, budget):
    """Finds the largest width whose network stays within the budget of parameters."""
    key = name, len(tasks), trial.sigma == 0  # of a network of one task, the task does not matter
    if key not in census.widths:
        census.widths[key] = _search_width(name, census, tasks, trial, budget)
    return census.widths[key]


def _search_width(name, census, tasks, trial, budget):
    low, high = 1, 512
    while high - low > 1:
        middle = (low + high) // 2
        fits = build(name, census, tasks, trial, middle).count_params() <= budget
        low, high = (middle, high) if fits else (low, middle)
    return low


def fit_network(name, census, tasks, trial, seed, options):
    """Trains a network; returns its AUCs by part and task, and its number of parameters."""
    keras.backend.clear_session()
    width = fitted_width(name, census, tasks, trial, options.budget)
    keras.utils.set_random_seed(seed)
    network = build(name, census, tasks, trial, width)
    codes, labels = census.parts["train"]
    steps = options.epochs * -(-len(codes) // options.batch_size)
    rate = keras.optimizers.schedules.CosineDecay(trial.rate, steps)
    plain = [dataclasses.replace(task, metrics=()) for task in tasks]
    network.compile(keras.optimizers.AdamW(rate, weight_decay=trial.decay), **compile_args(plain))
    network.fit(
        codes,
        {task.name: labels[task.name] for task in tasks},
        batch_size=options.batch_size,
        epochs=options.epochs,
        verbose=0,
    )
    return scores(census, tasks, lambda codes: predict(network, codes)) | {
        "parameters": network.count_params()
    }


def predict(network, codes):
    predicted = network.predict(codes, batch_size=8192, verbose=0)
    return {name: values.ravel() for name, values in predicted.items()}


def fit_trees(name, census, tasks, trial, seed, options):
    """Trains gradient boosting of scikit-learn, stopped early by the validation rows."""
    (codes, labels), (held_codes, held_labels) = census.parts["train"], census.parts["validation"]
    (task,) = tasks
    trees = HistGradientBoostingClassifier(
        learning_rate=trial.rate,
        max_leaf_nodes=trial.leaves,
        min_samples_leaf=trial.smallest_leaf,
        l2_regularization=trial.l2,
        categorical_features=census.categories if trial.categorical else None,
        max_iter=2000,
        early_stopping=True,
        n_iter_no_change=20,
        random_state=seed,
    ).fit(codes, labels[task.name], X_val=held_codes, y_val=held_labels[task.name])
    return scores(census, tasks, lambda codes: {task.name: trees.predict_proba(codes)[:, 1]})


def scores(census, tasks, predict_codes):
    """Returns AUCs by part and task."""
    aucs = {}
    for part in ("validation", "test"):
        codes, labels = census.parts[part]
        predicted = predict_codes(codes)
        aucs[part] = {t.name: roc_auc_score(labels[t.name], predicted[t.name]) for t in tasks}
    return aucs


class Results:
    """Keeps the results of fits, in a file if there is a folder."""

    def __init__(self, folder):
        self.path = Path(folder, "census.jsonl") if folder else None
        lines = self.path.read_text().splitlines() if self.path and self.path.exists() else []
        self.known = {entry["key"]: entry["result"] for entry in map(json.loads, lines)}

    def get(self, key, compute):
        """Returns the result of a key, from the file or from `compute()`."""
        if key not in self.known:
            self.known[key] = compute()
            if self.path:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with self.path.open("a") as file:
                    file.write(json.dumps({"key": key, "result": self.known[key]}) + "\n")
        return self.known[key]


def tuned(name, census, tasks, options, results):
    """Tunes one network, or the trees of one task; returns the best trial and the seeds' results.

    Trials are compared by the mean AUC of validation rows, with seed 0. That run is not counted:
    the seeds of the result are others.
    """
    fit, kind = (fit_trees, TreeTrial) if name == "boosting" else (fit_network, NetworkTrial)
    setting = f"{options.config} {options.epochs} {options.batch_size} {options.budget}"

    def once(trial, seed):
        key = f"{name} {[task.name for task in tasks]} {trial} {setting} seed {seed}"
        return results.get(key, lambda: fit(name, census, tasks, trial, seed, options))

    def validated(trial):
        return np.mean(list(once(trial, 0)["validation"].values()))

    best = max(draw_trials(kind, options.trials), key=validated)
    return best, [once(best, seed) for seed in range(1, options.seeds + 1)]


def row(name, census, options, results):
    """Returns the test AUCs of all seeds by task, the trials chosen and the parameters."""
    apart = name in ("single_task", "boosting")
    groups = [[task] for task in census.tasks] if apart else [census.tasks]
    aucs, chosen, parameters = {}, [], 0
    for tasks in groups:
        trial, runs = tuned(name, census, tasks, options, results)
        chosen.append(trial)
        parameters += runs[0].get("parameters", 0)
        aucs |= {t.name: np.array([run["test"][t.name] for run in runs]) for t in tasks}
    return aucs, chosen, parameters


def difference(first, second):
    """Returns the difference of two means and half of its 95 % interval (Welch)."""
    test = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
    return np.mean(first) - np.mean(second), (test.high - test.low) / 2


def report(name, aucs, alone, parameters):
    cells = "".join(f"{np.mean(v):9.4f} ±{np.std(v, ddof=1):7.4f}" for v in aucs.values())
    pairs = [difference(values, alone[task]) for task, values in aucs.items()] if alone else []
    gains = "".join(f"{1e4 * gain:+7.1f} ±{1e4 * half:5.1f}" for gain, half in pairs)
    print(f"{name:18}{cells}{parameters or '':>11}{gains}", flush=True)


def add_table(rows, record):
    """Prints a row per network, and one for what it has above those of one task."""
    tasks = [*next(iter(rows.values()))[0]]
    table = page_tables.Table("census", ["", *tasks, "parameters"], record)
    for name, (aucs, parameters) in rows.items():
        cells = [f"{np.mean(v):.4f} ± {np.std(v, ddof=1):.4f}" for v in aucs.values()]
        table.add(f"`{name}`", *cells, f"{parameters:,}" if parameters else "")
    for name, (aucs, _) in rows.items():
        if "single_task" in rows and name != "single_task":
            alone = rows["single_task"][0]
            pairs = [difference(values, alone[task]) for task, values in aucs.items()]
            cells = [f"{1e4 * gain:+.1f} ± {1e4 * half:.1f}" for gain, half in pairs]
            table.add(f"`{name}`, above", *cells, "")
    table.keep()


def main(options):
    with tempfile.TemporaryDirectory() as scratch:
        census = Census(options.config, options.data_dir or scratch)
    results = Results(options.folder)
    names = [task.name for task in census.tasks]
    head = "".join(f"{name:>18}" for name in names)
    print(f"{'':18}{'test AUC':54}{'':11}  1e-4 of AUC above single_task, 95 %")
    gains = "".join(f"{name:>14}" for name in names)
    print(f"{'':18}{head}{'parameters':>11}{gains}", flush=True)
    trials, rows, alone = {}, {}, None
    for name in options.rows:
        aucs, trials[name], parameters = row(name, census, options, results)
        alone = aucs if name == "single_task" else alone
        rows[name] = aucs, parameters
        report(name, aucs, alone, parameters)
    for name, chosen in trials.items():
        print(name, *chosen, sep="\n    ")
    add_table(rows, options.record)


def row_names(text):
    """Returns the rows of a list of names; `all` stands for each network and boosting."""
    known = ["single_task", "boosting", *BUILDERS]
    names = known if text == "all" else text.split(",")
    unknown = sorted({*names} - {*known})
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown} are no rows; expected some of {known}")
    return names


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=row_names, default="single_task,boosting,hard_sharing,mmoe")
    parser.add_argument("--trials", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--budget", type=int, default=150_000, help="parameters of a network")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch-size", type=int, default=1024)
    parser.add_argument("--config", default="full", choices=["full", "small"])
    parser.add_argument("--folder", help="keeps the results of finished fits")
    parser.add_argument("--data-dir", help="keeps the prepared data")
    page_tables.add_option(parser)
    main(parser.parse_args())
