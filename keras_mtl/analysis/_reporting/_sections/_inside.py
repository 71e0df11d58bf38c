"""What happens inside a network: gates, and the importance of inputs."""

from collections.abc import Mapping
from typing import Any

from keras_mtl.analysis import figures
from keras_mtl.analysis._reporting._page import Section, make_table
from keras_mtl.analysis._reporting._pictures import make_picture

_NUMBERS = {
    "effective experts": "effective_experts",
    "specialization": "specialization",
    "rows": "rows",
}


def make_gates(gates: Any) -> Section:
    """Returns the section of gates.

    Args:
        gates: A `GateUse`; or a dict by gate of loads by expert.
    """
    by_gate = getattr(gates, "gates", gates)
    if not isinstance(by_gate, Mapping):
        raise TypeError(f"gates is {type(gates).__name__}; expected a dict by gate.")
    loads, records = {}, []
    for name, gate in by_gate.items():
        load = (
            gate if isinstance(gate, Mapping) else dict(zip(gate.experts, gate.load, strict=True))
        )
        loads[str(name)] = {str(expert): float(value) for expert, value in load.items()}
        numbers = {
            key: getattr(gate, field) for key, field in _NUMBERS.items() if hasattr(gate, field)
        }
        records.append({"gate": name, **numbers, **loads[str(name)]})
    sentence = (
        "How much each gate uses each expert: the mean weight over rows. Gates with equal rows use "
        "the experts alike; a light column is an expert that hardly any gate uses."
    )
    alt = f"Loads of the experts in {len(loads)} gates as a heat map"
    table = make_table("gates", "Loads of experts by gate", records)
    return Section(
        "gates",
        "Gates and experts",
        (make_picture(figures.gate_loads(loads), alt, sentence, table),),
    )


def make_importance(importance: Any) -> Section:
    """Returns the section of importances.

    Args:
        importance: By task and input, the importance; or a data frame with one column per task and
            one row per input.
    """
    if hasattr(importance, "columns") and hasattr(importance, "to_dict"):
        importance = importance.to_dict()
    if not isinstance(importance, Mapping) or not all(
        isinstance(values, Mapping) for values in importance.values()
    ):
        raise TypeError(
            f"importance is {type(importance).__name__}; expected a dict by task of dicts by input."
        )
    values = {
        str(task): {str(name): float(value) for name, value in by_input.items()}
        for task, by_input in importance.items()
    }
    inputs = list(dict.fromkeys(name for by_input in values.values() for name in by_input))
    records = [
        {"input": name, **{task: by_input.get(name) for task, by_input in values.items()}}
        for name in inputs
    ]
    sentence = (
        "What each input is worth to each task. On top stand inputs that serve some tasks much "
        "more than the other ones; small negative values are noise."
    )
    if len(inputs) > 30:
        sentence += f" Shown are the 30 most important of {len(inputs)} inputs."
    alt = f"Importance of {min(len(inputs), 30)} inputs for {len(values)} tasks as a heat map"
    table = make_table("importance", "Importance by input and task", records)
    picture = make_picture(figures.importances(values), alt, sentence, table)
    return Section("importance", "Importance of inputs", (picture,))
