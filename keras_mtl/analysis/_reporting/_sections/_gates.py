"""How gates use their experts."""

from collections.abc import Mapping
from typing import Any

from keras_mtl.analysis import figures
from keras_mtl.analysis._gate_statistics import GateStatistics
from keras_mtl.analysis._gate_use import GateUse
from keras_mtl.analysis._reporting._page import Section, make_table
from keras_mtl.analysis._reporting._pictures import make_picture


def make_gates(gates: Any) -> Section:
    """Returns the section of gates.

    Args:
        gates: A `GateUse`; or a dict by gate of loads by expert, or of `GateStatistics`.
    """
    by_gate = gates.gates if isinstance(gates, GateUse) else gates
    if not isinstance(by_gate, Mapping):
        raise TypeError(f"gates is {type(gates).__name__}; expected a dict by gate.")
    loads = {str(name): _loads_of(gate) for name, gate in by_gate.items()}
    statistics = {
        str(name): gate for name, gate in by_gate.items() if isinstance(gate, GateStatistics)
    }
    tables = [make_table("gates", "Experts by gate", _list_experts(loads, statistics))]
    if statistics:
        records = [_describe(gate) for gate in statistics.values()]
        tables.insert(0, make_table("gates_summary", "Gates", records))
    sentence = (
        "How much each gate uses each expert: the mean weight over rows. Gates with equal rows use "
        "the experts alike; a light column is an expert that hardly any gate uses."
    )
    alt = f"Loads of the experts in {len(loads)} gates as a heat map"
    picture = make_picture(figures.gate_loads(loads), alt, sentence, *tables)
    warnings = [line for name, gate in statistics.items() for line in _warn(name, gate)]
    parts: tuple[Any, ...] = (picture, warnings) if warnings else (picture,)
    return Section("gates", "Gates and experts", parts)


def _loads_of(gate: Any) -> dict[str, float]:
    if isinstance(gate, GateStatistics):
        return dict(zip(gate.experts, gate.load.tolist(), strict=True))
    if isinstance(gate, Mapping):
        return {str(expert): float(load) for expert, load in gate.items()}
    raise TypeError(
        f"a gate is {type(gate).__name__}; expected `GateStatistics`, or a dict by expert."
    )


def _list_experts(
    loads: Mapping[str, Mapping[str, float]], statistics: Mapping[str, GateStatistics]
) -> list[dict[str, Any]]:
    records = []
    for name, by_expert in loads.items():
        for index, (expert, load) in enumerate(by_expert.items()):
            record = {"gate": name, "expert": expert, "load": load}
            if name in statistics:
                record["use"] = float(statistics[name].use[index])
                for task, rise in statistics[name].rise.items():
                    record[f"rise of the loss of {task} without it"] = float(rise[index])
            records.append(record)
    return records


def _describe(gate: GateStatistics) -> dict[str, Any]:
    return {
        "gate": gate.name,
        "tasks": ", ".join(gate.tasks),
        "experts": len(gate.experts),
        "effective experts": gate.effective_experts,
        "specialization, nats": gate.specialization,
        "rows": gate.rows,
    }


def _warn(name: str, gate: GateStatistics) -> list[str]:
    lines = []
    if gate.collapsed:
        lines.append(f"{name} has collapsed: in effect it uses fewer than 1.5 experts.")
    if gate.unused:
        lines.append(f"{name} hardly uses {', '.join(gate.unused)}.")
    return lines
