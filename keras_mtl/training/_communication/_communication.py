"""`communication`: bytes and time per step, by mode."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_mtl.balancers import GramianBalancer
from keras_mtl.training._balanced_model import BalancedModel
from keras_mtl.training._communication._layer_losses import sizes_of_layer_losses
from keras_mtl.training._communication._link import LINKS, Link
from keras_mtl.training._optimizer import clips

_BYTES = 4  # of a float32


@dataclasses.dataclass(frozen=True)
class Communication:
    """Holds what the replicas of one step send each other, for each mode of a network.

    Args:
        replicas: The number of replicas.
        link: What connects them.
        messages: By mode, the all-reduces of a step, as numbers of floats in their order: losses
            and counts of labels, statistics, flags of what is finite, gradients for the optimizer.

    Example:
        >>> print(Communication(2, Link(1e-3, 1e9), {"losses": (4, 1_000_000)}))
        mode              messages       MB       ms
        losses                   2      4.0      8.0
    """

    replicas: int
    link: Link
    messages: Mapping[str, Sequence[int]]

    def bytes(self, mode: str) -> int:
        """Returns the number of bytes that are added up in a step."""
        return _BYTES * sum(self.messages[mode])

    def seconds(self, mode: str) -> float:
        """Returns the time of a step's all-reduces, one after the other, with nothing beside."""
        sizes = (_BYTES * size for size in self.messages[mode])
        return sum(self.link.seconds(size, self.replicas) for size in sizes)

    def efficiency(self, mode: str, work: float) -> float:
        """Returns which part of a step is work.

        Args:
            mode: The mode.
            work: Seconds of a step without communication.
        """
        return work / (work + self.seconds(mode))

    def __str__(self) -> str:
        lines = [f"{'mode':<16}{'messages':>10}{'MB':>9}{'ms':>9}"]
        for mode, sizes in self.messages.items():
            megabytes, milliseconds = self.bytes(mode) / 1e6, 1e3 * self.seconds(mode)
            lines.append(f"{mode:<16}{len(sizes):>10}{megabytes:>9.1f}{milliseconds:>9.1f}")
        return "\n".join(lines)


def communication(model: BalancedModel, replicas: int, link: str | Link = "25GbE") -> Communication:
    """Returns how much the replicas of a step send each other, and how long it takes, by mode.

    Use it before a cluster is rented: it says whether the link bears `at="parameters"`, which sends
    K times the shared parameters, or whether the rule should work at the representation, whose
    statistic is `[K, K]`. With `every=n`, other steps than each n-th cost what losses cost.

        losses          2K, K, 1, P + Q                 rules on losses, and plain training
        representation  2K, K^2 + K, K, 1, P + Q        rules on the Gramian at the representation
        sketched there  2K, R, K m + 2K, K, 1, P + Q    the same with BalancedModel(sketch=m)
        parameters      2K, K P, K, 1, P + Q            rules on gradients of the parameters
        Gramian there   2K, K P, K, P + Q               rules on their Gramian, in every step

    with P floats of shared variables, Q of others, and R replicas. The 1 says whether all is
    finite; weights and lengths, which a rule on the Gramian has, say it on every replica, if the
    loss is not scaled. Where layers add losses (activity regularizers, `layers.Orthogonality`,
    gates) these come first: 1 for the number of rows, the sums of each layer that has some, and 1
    for their value; the gradients of such sums follow 2K. A `training.GradientModulation` of M
    heads adds 2M before the 1, and with noise the gradients of the encoders. With clipping
    (`clipnorm`, `global_clipnorm`, `clipvalue`) the last message is sent twice: the sum of all
    replicas is what has to be clipped. The P of `parameters` are sent once more by the optimizer,
    although every replica has their sum: an optimizer of Keras adds up the gradients of the
    replicas in any case, and takes no sums. Messages are counted from the graph of the network;
    their time is a formula, for links that nobody else uses, with nothing computed at the same
    time: a bound to compare modes by, no forecast. Statistics of batch normalization, of losses of
    a whole batch (survival, ranking) and of `training.Penalty` come on top, and rules that merge
    gradients at the representation send examples instead.

    Args:
        model: A compiled model.
        replicas: The number of replicas, of all workers together.
        link: `"loopback"`, `"10GbE"`, `"25GbE"`, `"100GbE"`, `"NVLink + 400G"`, or a
            `training.Link` with your numbers.

    Returns:
        The messages of each mode; print it for a table.

    Raises:
        TypeError: If the model is no `BalancedModel`.
        ValueError: If the link is unknown, or there is no replica.

    Example:
        >>> import keras
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("click"), mtl.Task.regression("price")]
        >>> network = mtl.architectures.hard_sharing(keras.Input((64,)), tasks, shared=(512, 512))
        >>> model = mtl.BalancedModel(network, tasks, mtl.balancers.PCGrad())
        >>> model.compile("adam")
        >>> print(mtl.training.communication(model, replicas=8, link="10GbE"))
        mode              messages       MB       ms
        losses                   4      1.3      3.1
        representation           5      1.3      3.3
        parameters               4      3.7      6.7
    """
    if not isinstance(model, BalancedModel):
        raise TypeError(f"model is a {type(model).__name__}; expected a BalancedModel.")
    if isinstance(link, str):
        if link not in LINKS:
            raise ValueError(f"link is {link!r}; expected one of {[*LINKS]}, or a training.Link.")
        link = LINKS[link]
    if replicas < 1:
        raise ValueError(f"replicas is {replicas}; expected 1 or more.")
    return Communication(replicas, link, _messages(model, replicas))


def _messages(model: BalancedModel, replicas: int) -> dict[str, tuple[int, ...]]:
    num_losses = sum(len(task.loss_names) for task in model.tasks)
    shared = _floats(model.frontier.shared)
    learned = _floats(model.balancer.trainable_variables)
    of_network = _floats(model.network.trainable_variables)
    times = 2 if clips(model.optimizer) else 1
    at_representation: tuple[int, ...] = (num_losses**2 + num_losses,)
    if model.sketch is not None:  # and how many rows each replica has
        at_representation = (replicas, num_losses * (model.sketch + 1) + num_losses)
    first, gradients = sizes_of_layer_losses(model.network)
    told_by_weights = (
        isinstance(model.balancer, GramianBalancer)
        and model.every == 1
        and not isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    )
    asked = () if told_by_weights else (1,)  # whether all is finite
    modulated = () if model.modulate is None else model.modulate.messages
    return {
        mode: (*first, 2 * num_losses, *gradients, *sizes, *modulated, *last, *[trained] * times)
        for mode, sizes, last, trained in (
            ("losses", (num_losses,), (1,), of_network + learned),
            ("representation", (*at_representation, num_losses), (1,), of_network),
            ("parameters", (num_losses * shared, num_losses), asked, of_network),
        )
    }


def _floats(variables: Sequence[Any]) -> int:
    return sum(math.prod(variable.shape) for variable in variables)
