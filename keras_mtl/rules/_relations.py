"""Rules between tasks as a graph, for architectures that take one."""

from collections.abc import Sequence

from keras_mtl._tasks import Task, check_tasks
from keras_mtl.rules._rule import Rule


def relations(
    rules: Sequence[Rule], tasks: Sequence[Task], strength: float = 1.0
) -> list[list[float]]:
    """Computes a matrix of relations from rules: tasks that one rule names are related.

    Choose it to let a network share along what is known: as `relations=` of
    `architectures.knowledge_propagation`, or as `strength=` of `architectures.soft_sharing`, with a
    small number such as 1e-3. It says which tasks are related and not how much; where many labels
    are there, `analysis.label_relations` measures it.

    Args:
        rules: The rules.
        tasks: The K tasks of the network.
        strength: The value for two related tasks. Defaults to `1.0`.

    Returns:
        K rows of K numbers, symmetric, with zeros on the diagonal.

    Raises:
        ValueError: If a rule names no task.

    Example:
        >>> import keras
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary(name) for name in ("click", "buy", "return")]
        >>> matrix = relations([mtl.rules.implies("buy", "click")], tasks)
        >>> matrix
        [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
        >>> network = mtl.architectures.knowledge_propagation(
        ...     keras.Input((4,)), tasks, relations=matrix
        ... )
    """
    names = [task.name for task in check_tasks(tasks)]
    matrix = [[0.0] * len(names) for _ in names]
    for rule in rules:
        if not rule.knows_places:
            rule.look_up(tasks)
        members = sorted({names.index(place.task) for place in rule.places})
        for k in members:
            for j in members:
                if k != j:
                    matrix[k][j] = float(strength)
    return matrix
