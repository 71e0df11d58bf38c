"""The relations of tasks that a network has learned in its layers."""

import dataclasses
from collections.abc import Sequence

import keras

from keras_mtl._tasks import Task
from keras_mtl.analysis._inside._core import read_core
from keras_mtl.analysis._inside._relation_tables import make_tables
from keras_mtl.analysis._relation_table import RelationTable

_MAX_TABLES = 8  # in the text


@dataclasses.dataclass(frozen=True)
class LearnedRelations:
    """Holds the matrices that the layers of a network have learned. `print` shows them.

    Args:
        tasks: The names of the K tasks.
        tables: By name of the layer, its `RelationTable`, from the inputs to the outputs; the
            decisions of all blocks of `layers.SelectOrSkip` are one table, `"policies"`.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("income"), mtl.Task.regression("age")]
        >>> network = mtl.architectures.adashare(keras.Input((3,)), tasks, body=(128,))
        >>> print(mtl.analysis.learned_relations(network, tasks))
        policies (SelectOrSkip): 1 for a block that the row's task runs, 0 for one that it skips
                shared_policy_0
        income                1
        age                   1
    """

    tasks: tuple[str, ...]
    tables: dict[str, RelationTable]

    def __str__(self) -> str:
        shown = list(self.tables.values())[:_MAX_TABLES]
        lines = [str(table) for table in shown]
        if len(shown) < len(self.tables):
            lines.append(f"... {len(self.tables)} tables in all; see .tables")
        return "\n".join(lines)


def learned_relations(model: keras.Model, tasks: Sequence[Task]) -> LearnedRelations:
    """Reads the relations of tasks that layers have learned, as matrices by task name.

    Read are the layers whose variables speak of tasks: `TaskRelations` (of
    `architectures.knowledge_propagation`), `CrossStitch` (`cross_stitch`, `sluice`), `NDDR`,
    `LayerStitch` (depths of `sluice`, direct paths of `adatt`), `Branching` (`ltb`),
    `SelectOrSkip` (`adashare`) and `SubNetworkRouting` (`snr`). Nothing is inferred from other
    weights: what a `Dense` layer has learned says nothing of tasks by itself.

    Choose it after training, to see what a network shares and with whom. A number is what the layer
    multiplies by, not what comes of it: features differ in size, and later layers can undo it. To
    know what an exchange is worth, train without it. Choose `gate_use` for experts, whose weights
    depend on the row, and `relatedness` to ask of any network which tasks use the same features.

    Args:
        model: A functional network, or a `BalancedModel` of one.
        tasks: The tasks of the network, or some of them. Others have numbers instead of names.

    Returns:
        `LearnedRelations`.

    Raises:
        TypeError: If the model shows no graph.
        ValueError: If no layer has learned a relation.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("income"), mtl.Task.regression("age")]
        >>> network = mtl.architectures.cross_stitch(keras.Input((3,)), tasks, body=(8,))
        >>> print(learned_relations(network, tasks))
        shared_stitch_0 (CrossStitch): the weight of the column's features in those of the row
                income  age
        income     0.9  0.1
        age        0.1  0.9
    """
    core = read_core(model, tasks)
    tables = {table.layer: table for table in make_tables(core)}
    if not tables:
        kinds = sorted({type(layer).__name__ for layer in core.network.layers})
        raise ValueError(
            f"the network {core.network.name!r} has no layer that learns a relation of tasks: none "
            "of TaskRelations, CrossStitch, NDDR, LayerStitch, Branching, SelectOrSkip and "
            f"SubNetworkRouting. Its layers are of the classes {kinds}; gate_use reads experts."
        )
    return LearnedRelations(tuple(core.outputs), tables)
