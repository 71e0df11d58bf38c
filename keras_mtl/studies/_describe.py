"""What the results of a study depend on, as far as it can be written down."""

import dataclasses
import importlib.metadata
from typing import Any

from keras_mtl._tasks import Task
from keras_mtl._version import __version__
from keras_mtl.studies._plan import Plan


def describe_study(plan: Plan, optimizer: Any, baseline: Any) -> dict[str, Any]:
    """Returns the settings, versions and fingerprints of a study, as JSON has them.

    The content of functions is not part of it: a contender that is changed under the same name is
    not noticed.
    """
    # Only where it is not the default, as in studies from before there was a choice.
    labeled = any(network.labeled is not None for network in plan.networks)
    return {
        **({"baseline_rows": "labeled"} if labeled else {}),
        "schema": 1,
        "trials": plan.budget.trials,
        "epochs": plan.budget.epochs,
        "seeds": plan.budget.seeds,
        "tasks": {task.name: _describe_task(task) for task in plan.tasks},
        "metrics": {name: [m.log, m.mode] for name, m in plan.metrics.items()},
        "networks": [
            {
                "contender": network.contender,
                "tasks": list(network.names),
                "ratio": network.ratio,
                "is_compiled": network.is_compiled,
            }
            for network in plan.networks
        ],
        "baseline": baseline if isinstance(baseline, str) else _name(baseline),
        "optimizer": optimizer if isinstance(optimizer, str) else _name(optimizer),
        "learning_rate": list(plan.networks[0].rates),
        "seed": plan.seed,
        "steps_per_epoch": plan.data.steps,
        "data": {part: dataclasses.asdict(taken) for part, taken in plan.fingerprints.items()},
        "versions": {
            "keras_mtl": __version__,
            **{name: importlib.metadata.version(name) for name in ("keras", "tensorflow")},
        },
    }


def _describe_task(task: Task) -> list[Any]:
    loss = task.loss if isinstance(task.loss, str) else _name(task.loss)
    return [loss, list(task.metric_names), len(task.columns or ())]


def _name(value: Any) -> str:
    name = getattr(value, "__qualname__", None) or type(value).__qualname__
    return f"{getattr(value, '__module__', '')}.{name}"
