"""Arguments with which the contracts build sharing, mixing and low-rank networks: small parts."""

from typing import Any

from base_cases import Setting

CASES: dict[str, dict[str, Any]] = {
    "cross_stitch": {"body": (8, 7), "tower": (5,)},
    "hierarchical": {"body": (8, 7, 6), "tower": (5,), "shortcut": True},
    "joint_network": {"shared": (8, 7)},
    "knowledge_propagation": {"body": (8, 7), "tower": (5,)},
    "multimodal": {"encoders": {"input": (8, 7)}, "tower": (5,)},
    "nddr": {"body": (8, 7), "tower": (5,), "shortcut": True},
    "partial_sharing": {"body": (8, 7, 6), "sharing": [True, False, True], "tower": (5,)},
    "shared_private": {"shared": (8, 7), "private": (6,), "tower": (5,)},
    "sluice": {"body": (8, 8), "tower": (5,), "orthogonality": 0.01},
    "soft_sharing": {"body": (8, 7), "tower": (5,), "strength": 0.01},
}

JOINT = {
    "test_each_output_comes_from_its_own_head": "one head serves all tasks",
    "test_the_layers_of_a_task_reach_its_output_alone": "tasks have no layers of their own",
    "test_a_tagging_and_a_pooled_task_share_a_masked_sequence": "a recipe head has no slice",
    "test_a_recipe_tower_pools_a_masked_sequence": "there are no towers",
    "test_a_live_tower_is_refused": "there are no towers",
}

ROWS_ALONE = {
    "test_predictions_at_each_position_equal_those_of_rows": "encoders end in one row per example",
    "test_a_tagging_and_a_pooled_task_share_a_masked_sequence": "encoders end in one row",
    "test_a_recipe_tower_pools_a_masked_sequence": "encoders end in one row",
    "test_a_row_task_at_the_end_of_a_sequence_is_refused": "encoders end in one row",
}

SETTINGS: dict[str, Setting] = {
    "joint_network": Setting(exceptions=JOINT),
    "multimodal": Setting(exceptions=ROWS_ALONE),
}
