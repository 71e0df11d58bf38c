"""Rows with some labels, which asks for the next ones."""

import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_mtl._tasks import Task, check_tasks
from keras_mtl.active._asking import _history
from keras_mtl.active._asking._distributions import BoolArray
from keras_mtl.active._asking._labels import LabelStore
from keras_mtl.active._asking._networks import num_rows
from keras_mtl.active._asking._offers import read_offers
from keras_mtl.active._asking._questions import check_names, list_questions, rules_by_task
from keras_mtl.active._choose import choose
from keras_mtl.active._gradient_embeddings import gradient_embeddings
from keras_mtl.active._picks import Picks
from keras_mtl.active._score import RULES, score
from keras_mtl.data._mask_missing import mask_missing

_OTHER_RULES = ("badge", "random")


class Pool:
    """Keeps rows of which some labels are there, and says which label of which task to buy next.

    Your own loop trains, asks, has rows labeled, and answers:

        for _ in range(10):
            network = build()
            model = mtl.BalancedModel(network, tasks, mtl.balancers.Equal())
            ...                                     # compile, and fit on pool.dataset(32)
            picks = pool.ask(network, budget=20)
            pool.answer(picks, {name: label(name, rows) for name, rows in picks.rows().items()})

    A label is that of a row for a task, or for one column of a task with columns (named
    `"task.column"`). Labels that are there already are not asked for, nor are those that were asked
    and could not be told.

    Choose it where labels cost more than training. What it gains depends on data and network, and
    may be less than nothing: buy a part of the labels by `rule="random"`, and compare. Keep the
    rows on which you measure out of the pool: those that are asked for are not like the rest.

    Args:
        inputs: Inputs of the rows as arrays, in the structure that the network takes.
        labels: Labels by task, `[rows, ...]`, which are copied. A missing one is NaN, or the
            sentinel for integers. `None` for a task without any label yet.
        tasks: The tasks.
        costs: The price of a label: one for all, or by name; a number, or `[rows]`. Defaults to
            1, so that a budget is a number of labels.
        bundles: Prices of several labels of one row together, by a tuple of their names. Defaults
            to none.
        sentinel: What marks a missing label, as for `data.mask_missing`. Defaults to `-1`.

    Raises:
        ValueError: If labels do not fit the tasks or the rows, or a price is not positive or
            belongs to no label.

    Example:
        >>> import keras
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.multiclass("topic", 3), mtl.Task.binary("spam")]
        >>> x, nan = np.random.default_rng(0).normal(size=(6, 4)), np.nan
        >>> labels = {"topic": np.array([0, 2, -1, -1, 1, -1]), "spam": None}
        >>> pool = Pool(x, labels, tasks, costs={"topic": 3.0, "spam": 1.0})
        >>> network = mtl.architectures.hard_sharing(keras.Input((4,)), tasks, shared=(8,))
        >>> picks = pool.ask(network, budget=4.0)
        >>> picks.cost
        4.0
        >>> pool.answer(picks, {name: [1] * len(rows) for name, rows in picks.rows().items()})
        >>> sum(pool.num_known.values()), pool.spent
        (5, 4.0)
    """

    def __init__(
        self,
        inputs: Any,
        labels: Mapping[str, Any],
        tasks: Sequence[Task],
        *,
        costs: float | Mapping[str, Any] = 1.0,
        bundles: Mapping[tuple[str, ...], Any] | None = None,
        sentinel: int | Mapping[str, float] = -1,
    ) -> None:
        self._tasks = check_tasks(tasks)
        self._inputs = inputs
        self._rows = num_rows(inputs)
        self._sentinel = sentinel
        self._labels = LabelStore(labels, self._tasks, self._rows, sentinel)
        self._questions = list_questions(self._tasks)
        self._costs, self._bundles = costs, bundles
        read_offers(list(self._questions), self._rows, costs, bundles)  # refuses wrong prices
        self._history: list[Picks] = []

    @property
    def labels(self) -> dict[str, Any]:
        """Copies of the labels by task, as they are now; a missing one is NaN or the sentinel."""
        return {name: array.copy() for name, array in self._labels.arrays.items()}

    @property
    def history(self) -> tuple[Picks, ...]:
        """What was bought, answer by answer."""
        return tuple(self._history)

    @property
    def spent(self) -> float:
        """What all answers have cost."""
        return float(sum(picks.cost for picks in self._history))

    @property
    def num_known(self) -> dict[str, int]:
        """The number of rows that have a label, by task or `"task.column"`."""
        flags = {name: self._labels.known(question) for name, question in self._questions.items()}
        return {name: int(known.sum()) for name, known in flags.items()}

    def wanted(self) -> dict[str, BoolArray]:
        """Returns which labels can be asked for, `[rows]` by task or `"task.column"`.

        These are the labels that are missing, and were not asked for before.
        """
        flags = {name: ~self._labels.known(question) for name, question in self._questions.items()}
        for picks in self._history:
            for name, rows in picks.rows().items():
                flags[name][rows] = False
        return flags

    def ask(
        self,
        network: Any,
        budget: float,
        rule: str | Mapping[str, str] = "margin",
        *,
        worth: Mapping[str, float] | str | None = None,
        draws: int = 10,
        seed: int = 0,
    ) -> Picks:
        """Returns the labels to buy next; nothing is bought before `answer`.

        Args:
            network: The functional network, or its `BalancedModel`; `None` for `"random"`.
            budget: How much may be spent.
            rule: `"margin"`, `"entropy"`, `"least_confidence"` or `"bald"` of `active.score`, or
                a dict of these by task, where tasks that are not named are not asked for;
                `"badge"`, which draws labels by `active.gradient_embeddings`; or `"random"`: any
                label with equal probability, as long as it fits the budget. Defaults to
                `"margin"`.
            worth: How much each label counts, as for `active.choose`. Defaults to 1 for all.
            draws: The number of draws of `"bald"`. Defaults to `10`.
            seed: The seed of ties and draws; rounds draw differently. Defaults to `0`.

        Raises:
            ValueError: As `active.score` and `active.choose` do, or if there is no network.
        """
        seed = int(np.random.SeedSequence([seed, len(self._history)]).generate_state(1)[0])
        rules = rules_by_task(rule, self._tasks, (*RULES, *_OTHER_RULES))
        single = {*rules.values()} & {*_OTHER_RULES}
        if single and (len({*rules.values()}) > 1 or isinstance(rule, Mapping)):
            raise ValueError(f"rule={sorted(single)[0]!r} is one for all tasks; received {rule!r}.")
        if "random" in single:
            return self._pick_random(budget, worth, seed)
        if network is None:
            raise ValueError("network=None asks for nothing; only rule='random' needs no network.")
        if "badge" in single:
            scores: Any = gradient_embeddings(network, self._inputs, self._tasks)
        else:
            scores = score(network, self._inputs, self._tasks, rule, draws=draws, seed=seed)
        return self.pick(scores, budget, worth=worth, seed=seed, rule=str(rule))

    def pick(
        self,
        scores: Mapping[str, Any],
        budget: float,
        *,
        worth: Mapping[str, float] | str | None = None,
        seed: int = 0,
        rule: str = "scores",
    ) -> Picks:
        """Returns the labels to buy next by scores of your own, with the prices of the pool.

        Args:
            scores: `[rows]` by task or `"task.column"`, 0 or more, a high one for a label that is
                wanted; a label without scores is not bought. Or gradient embeddings.
            budget: How much may be spent.
            worth: How much each label counts, as for `active.choose`. Defaults to 1 for all.
            seed: The seed of ties and draws. Defaults to `0`.
            rule: What the history calls this rule. Defaults to `"scores"`.

        Raises:
            ValueError: As `active.choose` does.
        """
        check_names(scores, self._questions, "scores")
        picks = choose(
            scores,
            self._costs_of(scores),
            budget,
            wanted={name: flags for name, flags in self.wanted().items() if name in scores},
            bundles={
                names: price
                for names, price in (self._bundles or {}).items()
                if {*names} <= {*scores}
            },
            worth=worth,
            seed=seed,
        )
        return Picks(picks.picks, rule)

    def _pick_random(self, budget: float, worth: Any, seed: int) -> Picks:
        """Returns labels in random order, each as likely as any other, whatever it costs."""
        worth = worth if isinstance(worth, Mapping) else {}
        check_names(worth, self._questions, "worth")
        names = [name for name in self._questions if worth.get(name, 1.0) > 0]
        costs = read_offers(names, self._rows, self._costs_of(names), None).costs
        # Worth per cost is then a random number.
        numbers = np.random.default_rng(seed).random(costs.shape) * costs
        scores = dict(zip(names, numbers.T, strict=True))
        wanted = {name: flags for name, flags in self.wanted().items() if name in scores}
        costs_of = self._costs_of(names)
        picks = choose(scores, costs_of, budget, wanted=wanted, worth="as scored", seed=seed)
        return Picks(picks.picks, "random")

    def _costs_of(self, names: Iterable[str]) -> float | dict[str, Any]:
        """Returns the prices of some labels."""
        if not isinstance(self._costs, Mapping):
            return self._costs
        return {name: self._costs[name] for name in names}

    def answer(self, picks: Picks, labels: Mapping[str, Any]) -> None:
        """Writes the labels that were bought, and adds the purchase to the history.

        Args:
            picks: What was bought: a result of `ask` or `pick`.
            labels: For each name of `picks.rows()`, as many labels as rows, in their order. NaN
                (or the sentinel) says that nobody could tell: the label stays missing, is paid
                for, and is not asked for again.

        Raises:
            ValueError: If labels are missing or do not fit the task. Then nothing is written.
        """
        rows = picks.rows()
        check_names(rows, self._questions, "picks")
        if {*labels} != {*rows}:
            raise ValueError(
                f"labels must have the keys {sorted(rows)}; received {sorted(labels)}."
            )
        before = {name: array.copy() for name, array in self._labels.arrays.items()}
        try:
            for name, positions in rows.items():
                self._labels.answer(name, self._questions[name], positions, labels[name])
        except (ValueError, IndexError):
            self._labels.arrays = before
            raise
        self._history.append(picks)

    def dataset(self, batch_size: int = 32, *, shuffle: bool = True, seed: int = 0) -> Any:
        """Returns the rows that have a label, in batches to train on, with missing labels masked.

        Args:
            batch_size: The number of rows per batch. Defaults to `32`.
            shuffle: Whether rows come in another order in each epoch. Defaults to `True`.
            seed: The seed of the order. Defaults to `0`.

        Returns:
            A `tf.data.Dataset` of `(x, y, w)`, as `data.mask_missing` makes it.

        Raises:
            ValueError: If no row has a label yet.
        """
        flags = [self._labels.known(question) for question in self._questions.values()]
        rows = np.flatnonzero(np.any(flags, axis=0))
        if not len(rows):
            raise ValueError("no row has a label yet: ask(None, budget, rule='random') first.")
        inputs = tuple(self._inputs) if isinstance(self._inputs, list) else self._inputs
        inputs = tf.nest.map_structure(lambda array: np.asarray(array)[rows], inputs)
        labels = {name: array[rows] for name, array in self._labels.arrays.items()}
        dataset = tf.data.Dataset.from_tensor_slices((inputs, labels))
        if shuffle:
            dataset = dataset.shuffle(len(rows), seed=seed)
        return mask_missing(dataset.batch(batch_size), self._tasks, sentinel=self._sentinel)

    def save(self, path: str | pathlib.Path) -> None:
        """Writes labels and history to one file of NumPy; inputs are not written.

        Args:
            path: The file, such as `"pool.npz"`. A crash while it is written leaves the old one.
        """
        _history.write(path, self._labels.arrays, self._history)

    def restore(self, path: str | pathlib.Path) -> None:
        """Takes labels and history from a file of `save`; the loop goes on as if it had not ended.

        Args:
            path: The file.

        Raises:
            ValueError: If it was written by a pool of other tasks or rows.
        """
        labels, history = _history.read(path)
        self._labels.restore(labels)
        self._history = history
