"""Arguments with which the contracts build experts, conditioning and branching: small parts."""

from typing import Any

_EXPERTS = {"expert": (8, 7), "tower": (5,)}

CASES: dict[str, dict[str, Any]] = {
    "moe": {"num_experts": 3, **_EXPERTS},
    "ml_mmoe": {"num_experts": 3, **_EXPERTS},
    "cgc": {"num_shared_experts": 3, "num_task_experts": 2, **_EXPERTS},
    "ple": {"num_shared_experts": 2, "num_task_experts": 1, **_EXPERTS},
    "adatt": {"num_shared_experts": 1, "num_task_experts": 2, **_EXPERTS},
    "dselect_k": {"num_experts": 5, "num_selected": 2, **_EXPERTS},
    "snr": {"num_subnetworks": 3, "subnetwork": (8,), "tower": (5,)},
    "mmoeex": {"num_experts": 4, **_EXPERTS},
    "home": _EXPERTS,
    "mtan": {"body": (8, 7), "tower": (5,)},
    "film": {"body": (8, 7), "embedding_units": 4, "tower": (5,)},
    "pepnet": {"tower": (8, 5)},
    "ltb": {"body": (8, 7), "tower": (5,)},
    "adashare": {"stem": (8,), "body": (8, 8), "tower": (5,)},
}
