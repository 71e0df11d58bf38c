"""Arguments with which the contracts build low-rank and sparse networks, and their exceptions."""

from typing import Any

from base_cases import Setting

CASES: dict[str, dict[str, Any]] = {
    "adapters": {"body": (8, 7), "bottleneck": 3, "tower": (5,)},
    "low_rank": {"body": (8, 7), "rank": 2, "tower": (5,)},
    "lora": {"body": (8, 7), "rank": 2, "tower": (5,)},
    "sparse": {"shared": (8,), "tower": (5,)},
    "tensor_factorized": {"body": (8, 7), "rank": 3, "tower": (5,)},
}

_STARTS_AT_ZERO = "an update begins as a product with zero: see test_lora.py"

SETTINGS = {
    "lora": Setting(
        exceptions={
            "test_every_variable_gets_a_gradient_from_some_loss": _STARTS_AT_ZERO,
            "test_a_fit_step_is_finite_and_moves_the_network": _STARTS_AT_ZERO,
        }
    )
}
