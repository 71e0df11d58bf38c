"""Which experts the gates of a network use, and what each expert is worth to each task."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np

from keras_mtl._tasks import Task
from keras_mtl.analysis._gate_statistics import GateStatistics
from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis._inside._core import Core, read_core
from keras_mtl.analysis._inside._gate_reader import GateReader
from keras_mtl.analysis._inside._gate_sums import divergence
from keras_mtl.analysis._inside._mixtures import find_mixtures
from keras_mtl.analysis._inside._rows import Rows, read_rows
from keras_mtl.analysis._printing._tables import format_number, format_table

_MAX_GATES = 12  # in the text
_MAX_TASKS = 10


@dataclasses.dataclass(frozen=True)
class GateUse:
    """Holds how all gates of a network use their experts. `print` shows gates and collapses.

    Args:
        tasks: The names of the K tasks.
        gates: By name of the gate, its `GateStatistics`, in the order of the network. Where a layer
            computes several mixtures, each has its position behind the name: `shared_gates_1/0`.
        losses: By task, its mean loss on the rows, which ablations are compared with.
        divergence: The Jensen-Shannon divergence of the loads of two tasks' gates, nats, `[K, K]`:
            0 for equal loads, ln 2 = .693 for loads without a common expert. The gate of a task is
            one that serves it and the fewest other tasks; of several pairs of gates that read a
            common expert, the largest divergence counts. NaN where no two gates do.
        rows: The number of rows of the dataset.

    Example:
        >>> import numpy as np
        >>> import keras
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("income"), mtl.Task.regression("age")]
        >>> network = mtl.architectures.mmoe(keras.Input((3,)), tasks, num_experts=2)
        >>> for gate in ("income_gate", "age_gate"):
        ...     network.get_layer(gate).set_weights([np.zeros((3, 2))])
        >>> y = {"income": np.array([0, 1]), "age": np.array([30.0, 40.0])}
        >>> use = mtl.analysis.gate_use(network, (np.eye(2, 3), y), tasks)
        >>> use.gates["income_gate"].load.tolist(), use.divergence[0, 1].item()
        ([0.5, 0.5], 0.0)
    """

    tasks: tuple[str, ...]
    gates: dict[str, GateStatistics]
    losses: dict[str, float]
    divergence: FloatArray
    rows: int

    def __str__(self) -> str:
        shown = list(self.gates.values())[:_MAX_GATES]
        rows = []
        for gate in shown:
            worth = "-"
            if gate.rise:
                worst = max(
                    ((values[i], i) for values in gate.rise.values() for i in range(len(values))),
                    key=lambda pair: pair[0],
                )
                worth = f"{gate.experts[worst[1]]} ({format_number(float(worst[0]))})"
            state = "collapsed" if gate.collapsed else f"{len(gate.unused)} unused"
            rows.append(
                [
                    gate.name,
                    f"{format_number(gate.effective_experts)} of {len(gate.experts)}",
                    format_number(gate.entropy),
                    format_number(gate.specialization),
                    state,
                    worth,
                ]
            )
        header = ["gate", "effective experts", "entropy", "specialization", "", "largest rise"]
        lines = [format_table(header, rows)]
        if len(self.gates) > len(shown):
            lines.append(f"... {len(self.gates)} gates in all; see .gates")
        if 1 < len(self.tasks) <= _MAX_TASKS:
            table = [
                [task, *map(format_number, values)]
                for task, values in zip(self.tasks, self.divergence.tolist(), strict=True)
            ]
            lines.append(format_table(["divergence", *self.tasks], table))
        lines.append(f"from {self.rows} rows")
        return "\n".join(lines)


def gate_use(
    model: keras.Model, dataset: Any, tasks: Sequence[Task], *, ablation: bool = True
) -> GateUse:
    """Measures which experts the gates of a network use, for which rows, and to what effect.

    Gates are found in the graph by their classes: whatever computes the weights that a
    `layers.Mixture` reads (a `Dense` softmax, `MaskedGate`, `DSelectKGate`, a layer of yours), and
    the coding variables of `layers.SubNetworkRouting`. So it serves `architectures.moe`, `mmoe`,
    `mmoeex`, `ml_mmoe`, `cgc`, `ple`, `dselect_k`, `home`, `adatt`, `stem` and `snr`, and networks
    that you built of these layers. `GateStatistics` defines what is measured.

    Choose it after training, on validation rows: to see experts that no gate uses (take fewer),
    gates that collapsed onto one expert (a smaller learning rate, more experts, or `mmoeex`), tasks
    whose gates agree (share a gate: `moe`) or part. A large weight is no proof that an expert
    matters; read `use`, and the rise of the losses, which needs E passes through the towers behind
    each gate. Choose `unit_importance` for networks without experts, and `learned_relations` for
    what is learned once for all rows: branches, stitches, policies. `FeatureGate` and `GateNU`
    scale features and choose no experts: they are no gates here.

    Args:
        model: A functional network, or a `BalancedModel` of one. It stays as it is.
        dataset: A batched, finite `tf.data.Dataset` or a `keras.utils.PyDataset` of `(x, y)` or
            `(x, y, w)`, or a tuple of arrays. NaN labels and labels with weight 0 are missing.
        tasks: The tasks of the network, or some of them.
        ablation: Whether to measure the rise of each task's loss without each expert. Defaults to
            `True`.

    Returns:
        A `GateUse`.

    Raises:
        TypeError: If the network shows no graph, or the data are of another kind.
        ValueError: If the network has no gate, weights are negative, or data do not fit the tasks.

    Example:
        >>> import numpy as np
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("income"), mtl.Task.regression("age")]
        >>> network = mtl.architectures.cgc(keras.Input((3,)), tasks)
        >>> y = {"income": np.array([0, 1]), "age": np.array([30.0, 40.0])}
        >>> use = gate_use(network, (np.eye(2, 3), y), tasks)
        >>> use.gates["age_gate"].experts[1:3]
        ('age_experts/1', 'shared_experts/0')
        >>> sorted(use.gates["age_gate"].rise)
        ['age']

    Reference:
        Shazeer et al. 2017, arXiv:1701.06538 (the coefficient of variation; there of the sum over
        a training batch, here of validation rows). Popular code reports mean weights alone.
    """
    core = read_core(model, tasks)
    return measure_gates(core, make_reader(core, ablation=ablation), read_rows(dataset, core.tasks))


def make_reader(core: Core, *, ablation: bool) -> GateReader:
    """Returns what reads the gates of a network.

    Raises:
        ValueError: If it has none.
    """
    mixtures = find_mixtures(core)
    if not mixtures:
        kinds = sorted({type(layer).__name__ for layer in core.network.layers})
        raise ValueError(
            f"the network {core.network.name!r} has no gate: no layer of the classes Mixture and "
            f"SubNetworkRouting leads to the tasks {list(core.outputs)}. Its layers are of the "
            f"classes {kinds}. Networks with gates are architectures.mmoe and its relatives."
        )
    return GateReader(core, mixtures, ablation=ablation)


def measure_gates(core: Core, reader: GateReader, batches: Iterable[Rows]) -> GateUse:
    """Returns what the gates do with batches of rows."""
    reader.reset()
    num_rows = 0
    for rows in batches:
        num_rows += len(rows.weights[core.tasks[0].name])
        reader.add(rows)
    gates = reader.gates()
    names = tuple(core.outputs)
    return GateUse(names, gates, reader.losses(), _divergences(names, gates), num_rows)


def _divergences(tasks: Sequence[str], gates: dict[str, GateStatistics]) -> FloatArray:
    loads = {task: _loads_of(task, list(gates.values())) for task in tasks}
    result = np.full((len(tasks), len(tasks)), np.nan)
    for i, first in enumerate(tasks):
        for j, second in enumerate(tasks):
            values = [
                divergence(a, b) for a in loads[first] for b in loads[second] if a.keys() & b.keys()
            ]
            if i == j and loads[first]:
                result[i, j] = 0.0
            elif values:
                result[i, j] = max(values)
    return result


def _loads_of(task: str, gates: Sequence[GateStatistics]) -> list[dict[str, float]]:
    """Returns the loads by expert of the gates that serve the task and the fewest others."""
    serving = [gate for gate in gates if task in gate.tasks and np.isfinite(gate.load).all()]
    fewest = min((len(gate.tasks) for gate in serving), default=0)
    return [
        dict(zip(gate.experts, gate.load.tolist(), strict=True))
        for gate in serving
        if len(gate.tasks) == fewest
    ]
