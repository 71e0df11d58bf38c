"""Test AUC of every architecture on Census-Income (KDD), by the protocol of the MMoE paper.

    python benchmarks/census.py                              # all, three seeds: about 1.5 hours
    python benchmarks/census.py --builders mmoe,ple --seeds 5

Tasks are income above 50K and never married. The complete training part trains; the test part is
split in half: the first half chooses the learning rate (on the first seed, from the same list for
everyone) and the epoch, the second half is looked at once for each seed. Every network has about
the same number of parameters: the width of its layers is what fits the budget, and a single-task
network has the whole budget for one task. Gradient boosting (scikit-learn) is the baseline
without a network.
"""

import argparse
import dataclasses
import tempfile
import time

import keras
import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from keras_mtl import architectures, compile_args, data, datasets

LONG_TAILED = ("capital_gains", "capital_losses", "dividends", "wage_per_hour")
NUMBERS, BUCKETS, UNITS = 7, 16, 4
TOWER = (16,)
LEVELS = {"never_married": 0, "income": 1}

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
    "aitm": lambda w: {"shared": (2 * w,), "tower": (w, 16)},
    "low_rank": lambda w: {"body": (2 * w, w)},
    "tensor_factorized": lambda w: {"body": (2 * w, w)},
    "sparse": lambda w: {"tower": (2 * w, w, *TOWER)},
}


def load(folder):
    """Loads codes of the encoder and labels, for the parts train, validation and test."""
    tasks = [task for task in datasets.census_income_tasks() if task.name != "college"]
    raw = {
        split: datasets.census_income(split, batch_size=8192, data_dir=folder)
        for split in ("train", "test")
    }
    encoder = data.tabular_encoder(raw["train"], log=LONG_TAILED)
    parts = {}
    for split, batches in raw.items():
        rows = [(encoder(columns).numpy(), labels) for columns, labels in batches]
        codes = np.concatenate([codes for codes, _ in rows])
        parts[split] = (
            codes,
            {t.name: np.concatenate([labels[t.name] for _, labels in rows]) for t in tasks},
        )
    half = np.random.default_rng(0).permutation(len(parts["test"][0])) % 2
    parts["validation"], parts["test"] = (take(parts["test"], half == k) for k in (0, 1))
    return encoder, tasks, parts


def take(part, rows):
    codes, labels = part
    return codes[rows], {name: values[rows] for name, values in labels.items()}


def embed(encoder, codes):
    """Concatenates the numbers, embeddings of their quantiles, and embeddings of the strings."""
    inputs = keras.Input(codes.shape[1:])
    buckets = []
    for column in range(NUMBERS):
        cut = keras.layers.Discretization(bin_boundaries=boundaries(codes[:, column]))
        bucket = cut(inputs[:, column : column + 1])
        lookup = keras.layers.Embedding(BUCKETS, UNITS)(bucket)
        buckets.append(keras.layers.Flatten()(lookup))
    columns = data.embed_columns(encoder, inputs, units=UNITS)
    return keras.layers.Concatenate()([columns, *buckets])


def boundaries(values):
    return np.unique(np.quantile(values, np.linspace(0, 1, BUCKETS)[1:-1])).tolist()


def build(name, inputs, tasks, width):
    if name == "single_task":
        return architectures.single_task(inputs, tasks, tower=(2 * width, width, *TOWER))
    arguments = {"tower": TOWER} | BUILDERS[name](width)
    return getattr(architectures, name)(inputs, tasks, **arguments)


def fitted_width(name, inputs, tasks, budget):
    """Finds the largest width whose network stays within the budget of parameters."""
    low, high = 1, 512
    while high - low > 1:
        middle = (low + high) // 2
        fits = build(name, inputs, tasks, middle).count_params() <= budget
        low, high = (middle, high) if fits else (low, middle)
    return low


class BestEpoch(keras.callbacks.Callback):
    """Keeps the weights of the epoch with the best mean AUC on the validation half."""

    def __init__(self, part, patience):
        super().__init__()
        self.part, self.patience, self.best, self.since = part, patience, 0.0, 0

    def on_epoch_end(self, epoch, logs=None):
        score = float(np.mean(list(aucs(self.model, self.part).values())))
        self.since += 1
        if score > self.best:
            self.best, self.since = score, 0
            self.weights = self.model.get_weights()
        if self.since >= self.patience:
            self.model.stop_training = True

    def on_train_end(self, logs=None):
        self.model.set_weights(self.weights)


def aucs(network, part):
    codes, labels = part
    predicted = network.predict(codes, batch_size=8192, verbose=0)
    return {name: roc_auc_score(labels[name], predicted[name].ravel()) for name in predicted}


def train(name, tasks, encoder, parts, seed, rate, width, options):
    """Trains a network of one seed; returns its validation score, test AUCs and parameters."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    inputs = embed(encoder, parts["train"][0])
    network = build(name, inputs, tasks, width)
    plain = [dataclasses.replace(task, metrics=()) for task in tasks]
    network.compile(keras.optimizers.Adam(rate), **compile_args(plain))
    codes, labels = parts["train"]
    best = BestEpoch(
        (parts["validation"][0], pick(parts["validation"][1], tasks)), options.patience
    )
    network.fit(
        codes,
        pick(labels, tasks),
        batch_size=options.batch_size,
        epochs=options.epochs,
        callbacks=[best],
        verbose=0,
    )
    test = aucs(network, (parts["test"][0], pick(parts["test"][1], tasks)))
    return best.best, test, network.count_params()


def pick(labels, tasks):
    return {task.name: labels[task.name] for task in tasks}


def run(name, tasks, encoder, parts, options):
    """Chooses the rate on the first seed, and takes the same rate for the others."""
    width = fitted_width(name, embed(encoder, parts["train"][0]), tasks, options.budget)

    def once(seed, rate):
        return train(name, tasks, encoder, parts, seed, rate, width, options)

    tried = {rate: once(0, rate) for rate in options.rates}
    rate = max(tried, key=lambda candidate: tried[candidate][0])
    runs = [tried[rate], *(once(seed, rate) for seed in range(1, options.seeds))]
    return {task.name: [test[task.name] for _, test, _ in runs] for task in tasks}, rate, runs[0][2]


def boosted(tasks, parts, seeds):
    """Trains gradient boosting of scikit-learn, stopped early by a tenth of the training part."""
    codes, labels = parts["train"]
    test_aucs = {}
    for task in tasks:
        test_aucs[task.name] = []
        for seed in range(seeds):
            trees = HistGradientBoostingClassifier(
                max_iter=500, learning_rate=0.1, early_stopping=True, random_state=seed
            ).fit(codes, labels[task.name])
            scores = trees.predict_proba(parts["test"][0])[:, 1]
            test_aucs[task.name].append(roc_auc_score(parts["test"][1][task.name], scores))
    return test_aucs


def report(name, test_aucs, baseline, parameters, rate, seconds):
    cells = "".join(f"{np.mean(v):9.4f} +-{np.std(v, ddof=1):7.4f}" for v in test_aucs.values())
    gain = np.mean([np.mean(v) / np.mean(baseline[k]) - 1 for k, v in test_aucs.items()])
    print(f"{name:18}{cells}{gain:+9.2%}{parameters:>11}{rate:>13}{seconds:7.0f}", flush=True)


def main(options):
    with tempfile.TemporaryDirectory() as scratch:
        encoder, tasks, parts = load(options.data_dir or scratch)
    head = "".join(f"{task.name:>19}" for task in tasks)
    print(f"{'test AUC':18}{head}{'gain':>9}{'parameters':>11}{'rate':>13}{'s':>7}", flush=True)
    baseline, count, rates, start = {}, 0, [], time.perf_counter()
    for task in tasks:
        alone, rate, size = run("single_task", [task], encoder, parts, options)
        baseline |= alone
        count, rates = count + size, [*rates, rate]
    spent = time.perf_counter() - start
    report("single_task", baseline, baseline, count, "/".join(map(str, rates)), spent)
    start = time.perf_counter()
    trees = boosted(tasks, parts, options.seeds)
    report("gradient boosting", trees, baseline, "", "", time.perf_counter() - start)
    for name in options.builders:
        start = time.perf_counter()
        test_aucs, rate, size = run(name, tasks, encoder, parts, options)
        report(name, test_aucs, baseline, size, rate, time.perf_counter() - start)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--builders", type=lambda text: text.split(","), default=list(BUILDERS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--rates", type=lambda text: [*map(float, text.split(","))], default="1e-3,3e-3"
    )
    parser.add_argument("--budget", type=int, default=60_000, help="parameters of a network")
    parser.add_argument("--epochs", type=int, default=6, help="at most")
    parser.add_argument("--patience", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=1024)
    parser.add_argument("--data-dir", help="keeps the prepared data")
    main(parser.parse_args())
