"""One shared body and a private one per task, against an adversary (Liu et al., 2017)."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl._tasks import Task, check_tasks
from keras_mtl._types import Activation
from keras_mtl.architectures._building import (
    Part,
    Tower,
    apply_part,
    check_separate_variables,
    end_towers,
    read_inputs,
)
from keras_mtl.layers import GradientReversal, Orthogonality


def shared_private(
    inputs: Any,
    tasks: Sequence[Task],
    *,
    shared: Part = (128, 64),
    private: Part = (64,),
    adversary: str | None = None,
    strength: float = 0.05,
    orthogonality: float = 0.01,
    tower: Tower = (32,),
    activation: Activation = "relu",
    name: str | None = "shared_private",
) -> keras.Model:
    """Gives each task a private body beside the shared one, which an adversary keeps general.

    With the shared body f, the private body f_k of task k and a tower h_k,

        y_k = h_k([f(x); f_k(x)])        adversary: y_a = h_a(f(x)), its gradient reversed

    The adversary is one of the tasks, such as a `multiclass` task whose label is the data set
    that an example comes from: its tower learns to tell data sets apart from the shared features,
    and the shared body learns features that do not tell. What only one task needs is left to its
    private body. A further penalty, `layers.Orthogonality`, keeps the two from saying the same.

    Choose it for the same kind of task on several data sets (reviews of books and of films),
    where the shared features should serve a further set too. Not the right choice where the data
    set itself predicts the labels, or for tasks on the same examples, which nothing tells apart.
    Judge it by a fresh probe on the shared features, not by the adversary's loss. (Two sets that
    one column tells apart; strengths 0, .05, 1, 5: accuracy of the tasks .924, .924, .921, .918;
    loss of the adversary .204, .659, .699, .697, where chance is .693; a fresh linear probe still
    finds the set at .919, .718, .727, .751, where chance is .5. At strength 1, `PCGrad` gives
    .920, .699, .726 and `MGDA` .920, .593, .714, so these rules did no harm, though the reversed
    gradient is a conflict by intention. `benchmarks/regimes_adversarial.py` prints the table.)

    Guide:
        Kind: nothing or one body
        Shares: one body, beside a private one for each task; an adversary keeps it general
        Choose it when: the tasks are data sets of one kind, and a further one may come
        Not when: all tasks are on the same examples
        Source: Liu et al. 2017, arXiv:1704.05742

    Args:
        inputs: A `keras.Input` of floats `(batch, ..., in)`; a dict of float inputs, which are
            joined to `(batch, in)`; or the output of a preprocessing model, whose own inputs
            the network then takes. Bodies that are recipes may read other types.
        tasks: The tasks, at least one beside the adversary.
        shared: Units of the shared body, or a recipe `features -> features`. Defaults to
            `(128, 64)`.
        private: Units of each task's private body, or a recipe that makes new layers at each
            call. Defaults to `(64,)`.
        adversary: The name of the task that is the adversary. Defaults to `None`: there is none.
        strength: Strength of its reversed gradient. Defaults to `0.05`. The layer
            `<adversary>_reversal` holds it.
        orthogonality: Strength of the penalty for each task. Defaults to `0.01`; `0` leaves the
            penalty out.
        tower: Units of each task's tower, or a recipe as above. A dict gives each task a tower of
            its own (`None` stands for all others). Defaults to `(32,)`.
        activation: Activation of the layers made from units. Defaults to `"relu"`.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from the inputs to a dict of predictions by task name.

    Raises:
        ValueError: If tasks share a name, inputs cannot be joined, the adversary is none of the
            tasks or the only one, a strength is negative, two private bodies share a layer, or a
            tower ends in a shape that does not fit its task.
        TypeError: If an argument is of another type.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("books"), mtl.Task.binary("films")]
        >>> tasks.append(mtl.Task.multiclass("domain", 2))
        >>> network = mtl.architectures.shared_private(
        ...     keras.Input((50,)), tasks, adversary="domain", strength=0.5
        ... )
        >>> network.get_layer("books_features").output.shape  # 64 shared, 64 private
        (None, 128)

    Reference:
        Liu, Qiu and Huang, Adversarial Multi-task Learning for Text Classification, ACL 2017,
        arXiv:1704.05742 (ASP-MTL). There bodies are LSTMs, lambda is 0.05 and gamma 0.01 (not
        verified), and the penalty is a sum over the rows, here a mean. Their adversary also reads
        examples without labels: give those the label of the adversary alone.
    """
    tasks = check_tasks(tasks)
    inputs, features = read_inputs(inputs, tasks)
    names = [task.name for task in tasks]
    if adversary is not None and (adversary not in names or len(names) == 1):
        raise ValueError(
            f"adversary must be one of the tasks {names}, beside at least one other task; "
            f"received {adversary!r}."
        )

    general = apply_part(shared, features, "shared_body", activation, shared=True)
    private_features = {
        task: apply_part(private, features, f"{task}_private", activation)
        for task in names
        if task != adversary
    }
    check_separate_variables(private_features, [features])

    task_features = {}
    for task, features_of_task in private_features.items():
        if orthogonality:
            layer = Orthogonality(orthogonality, name=f"{task}_orthogonality")
            features_of_task = layer([general, features_of_task])
        join = keras.layers.Concatenate(name=f"{task}_features")
        task_features[task] = join([general, features_of_task])
    if adversary is not None:
        reversal = GradientReversal(strength, name=f"{adversary}_reversal")
        task_features[adversary] = reversal(general)

    outputs = end_towers(tower, task_features, tasks, activation)
    return keras.Model(inputs, outputs, name=name)
