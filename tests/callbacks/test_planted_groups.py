"""Measures of one joint training find the groups of tasks that were planted."""

import pytest
from planted_groups import recovery

SIGN_FREE = ("absolute cosine", "fisher", "units")
HEADS = ("correlated", "independent", "opposed")


@pytest.mark.slow
def test_groups_are_found_where_signs_tell_nothing():
    scores = recovery(8, 2, "independent", epochs=8, every=32)
    # The other measures without signs need more steps than these 256.
    assert scores["absolute cosine"] == 1.0


@pytest.mark.slow
@pytest.mark.parametrize("heads", HEADS)
@pytest.mark.parametrize(
    ("num_tasks", "num_groups", "seed"),
    [*((8, 2, seed) for seed in range(3)), *((16, 4, seed) for seed in range(3)), (32, 8, 0)],
)
def test_measures_without_signs_find_all_groups(num_tasks, num_groups, seed, heads):
    scores = recovery(num_tasks, num_groups, heads, epochs=47, seed=seed)
    assert min(scores[name] for name in SIGN_FREE) >= 0.95, scores


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("num_tasks", "num_groups"), [(8, 2), (16, 4)])
def test_tag_finds_all_groups_whose_heads_agree(num_tasks, num_groups, seed):
    scores = recovery(num_tasks, num_groups, "correlated", epochs=19, seed=seed)
    assert scores["TAG"] == 1.0, scores
