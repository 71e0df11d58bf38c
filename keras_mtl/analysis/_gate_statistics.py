"""How one gate uses its experts."""

import dataclasses

import numpy as np

from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis._printing._tables import format_number, format_table

_MAX_EXPERTS = 16  # in the text


@dataclasses.dataclass(frozen=True)
class GateStatistics:
    """Holds how one gate weighs its E experts over rows, and what each of them is worth.

    With p, the weights of a row, and H, the entropy in nats. A row is an example or, where a gate
    weighs experts at each position, a position that is not masked.

    Args:
        name: The name of the layer that computes the weights.
        tasks: The tasks whose outputs depend on the gate.
        experts: The names of the experts.
        hard: Whether the gate sets weights to exactly 0 (`layers.DSelectKGate`,
            `layers.SubNetworkRouting`): its experts are then counted, not averaged.
        rows: The number of rows. Rows without a label of any of `tasks` are left out.
        load: Mean p, `[E]`, sum 1; of a hard gate the share of an expert in all selections.
        weight: Mean p, `[E]`, as the network computes it: `load` for a softmax.
        selected: The share of rows in which p is above 0, `[E]`.
        use: The share of an expert in what the tower gets: mean p |f| with the output f of the
            expert, scaled to sum 1, `[E]`. A large weight on a small output is no use.
        load_entropy: H(load) / ln E: 1 if all experts have the same load.
        entropy: Mean H(p) / ln E: 0 if each row uses one expert, 1 if it uses all alike.
        effective_experts: exp H(load), from 1 to E.
        specialization: H(load) - mean H(p), nats: the mutual information of row and expert. 0 if
            all rows are weighed alike.
        load_variation: The squared coefficient of variation of the load (Shazeer et al. 2017).
        rise: By task of `tasks`, by how much its loss rises if the expert gets the weight 0, `[E]`.
            The weights that are left are scaled up to the sum that they had; those of
            `SubNetworkRouting`, which do not sum to 1, stay. NaN if it was not computed.

    Example:
        >>> import keras
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("income"), mtl.Task.regression("age")]
        >>> network = mtl.architectures.mmoe(keras.Input((3,)), tasks, num_experts=2)
        >>> y = {"income": np.array([0, 1]), "age": np.array([30.0, 40.0])}
        >>> gate = mtl.analysis.gate_use(network, (np.eye(2, 3), y), tasks).gates["age_gate"]
        >>> isinstance(gate, GateStatistics), gate.experts
        (True, ('shared_experts/0', 'shared_experts/1'))
    """

    name: str
    tasks: tuple[str, ...]
    experts: tuple[str, ...]
    hard: bool
    rows: int
    load: FloatArray
    weight: FloatArray
    selected: FloatArray
    use: FloatArray
    load_entropy: float
    entropy: float
    effective_experts: float
    specialization: float
    load_variation: float
    rise: dict[str, FloatArray]

    @property
    def collapsed(self) -> bool:
        """Whether the gate has several experts, and in effect fewer than 1.5."""
        return len(self.experts) > 1 and self.effective_experts < 1.5

    @property
    def unused(self) -> tuple[str, ...]:
        """The experts with a load below a tenth of an equal one, .1 / E."""
        limit = 0.1 / len(self.experts)
        return tuple(np.array(self.experts)[self.load < limit].tolist())

    def __str__(self) -> str:
        shown = range(min(len(self.experts), _MAX_EXPERTS))
        table = format_table(
            [self.name, "load", "use", *(f"rise {task}" for task in self.rise)],
            [
                [
                    self.experts[i],
                    format_number(float(self.load[i])),
                    format_number(float(self.use[i])),
                    *(format_number(float(values[i])) for values in self.rise.values()),
                ]
                for i in shown
            ],
        )
        lines = [table]
        if len(self.experts) > len(shown):
            lines.append(f"... {len(self.experts)} experts in all")
        lines.append(
            f"{format_number(self.effective_experts)} effective experts of {len(self.experts)}, "
            f"specialization {format_number(self.specialization)}, from {self.rows} rows"
        )
        if self.collapsed:
            lines.append("collapsed: fewer than 1.5 effective experts")
        if self.unused:
            lines.append(f"unused: {', '.join(self.unused)}")
        return "\n".join(lines)
