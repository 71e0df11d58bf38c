"""What each network of a study may cost."""

import dataclasses

from keras_mtl.data._elements._numbers import read_whole


@dataclasses.dataclass(frozen=True)
class Budget:
    """States what each network of a study may cost. All contenders and the baseline get the same.

    A contender that consists of several networks, as the baseline does, gets it for each of them.

    Args:
        trials: The number of settings that are tried per network: learning rates, searched task
            weights, hyper-parameters. The best is chosen by validation data. The first trial has
            the default of each setting. Defaults to 8.
        epochs: The number of epochs of each training; the best epoch is chosen by validation data.
            Defaults to 10.
        seeds: The number of trainings with the chosen setting, from fresh seeds, on which the
            verdict rests. Take at least 3, better 5: with one seed a verdict is about that
            training alone. Defaults to 5.

    Raises:
        TypeError: If a number is not whole.
        ValueError: If a number is below 1.

    Example:
        >>> Budget(trials=4, epochs=5).trainings(num_networks=3)
        27
    """

    trials: int = 8
    epochs: int = 10
    seeds: int = 5

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            number = read_whole(getattr(self, field.name), f"Budget: {field.name} is")
            object.__setattr__(self, field.name, number)

    def trainings(self, num_networks: int) -> int:
        """Returns the number of trainings of a contender of so many networks."""
        return num_networks * (self.trials + self.seeds)
