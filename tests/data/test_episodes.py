"""Episodes: support and query without a common row, the same at each iteration."""

import itertools

import numpy as np
import pytest

from keras_mtl.data import episodes


def test_rows_of_one_source_that_differ():
    sources = [
        (np.arange(20.0) + 100 * s, {"a": np.full(20, s)}, {"a": np.ones(20)}) for s in range(6)
    ]
    dataset = episodes(sources, shots=3, queries=4, episodes=8, seed=1)
    first = [x["support"].numpy() for x, *_ in itertools.islice(dataset, 3)]
    for again, before in zip(itertools.islice(dataset, 3), first, strict=True):
        np.testing.assert_array_equal(again[0]["support"], before)
    x, y, w = next(iter(dataset))
    assert x["support"].shape == (8, 3)
    assert w["query"]["a"].shape == (8, 4)
    rows = np.concatenate([x["support"], x["query"]], axis=1)
    for row, labels in zip(rows, y["query"]["a"].numpy(), strict=True):
        assert len(set(row)) == 7
        assert set(row // 100) == set(labels)
    assert len({row[0] // 100 for row in rows}) > 2


def test_classes_have_labels_by_their_place():
    characters = [np.arange(9.0) + 100 * c for c in range(7)]
    dataset = episodes(characters, shots=2, queries=3, episodes=4, ways=5, task="c")
    x, y = next(iter(dataset))
    for i in range(4):
        of_class = {}
        for part, size in (("support", 2), ("query", 3)):
            labels = y[part]["c"][i].numpy()
            assert list(labels) == list(np.repeat(np.arange(5), size))
            for row, label in zip(x[part][i].numpy(), labels, strict=True):
                of_class.setdefault(label, []).append(row)
        assert len({rows[0] // 100 for rows in of_class.values()}) == 5
        for rows in of_class.values():
            assert len(set(rows)) == 5
            assert len({row // 100 for row in rows}) == 1


def test_what_does_not_fit_is_refused():
    source = (np.zeros(5), {"a": np.zeros(5)})
    options = {"shots": 2, "queries": 3, "episodes": 1}
    with pytest.raises(ValueError, match=r"source 0 has arrays of \[5\] rows; an episode takes 6"):
        episodes([source], **{**options, "queries": 4})
    with pytest.raises(ValueError, match=r"source 1 has arrays of \[5, 6\] rows"):
        episodes([source, (np.zeros(6), {"a": np.zeros(5)})], **options)
    with pytest.raises(ValueError, match="source 1 has another form than source 0"):
        episodes([source, (np.zeros(5), {"b": np.zeros(5)})], **options)
    with pytest.raises(ValueError, match=r"source 0 must be .* received ndarray"):
        episodes([np.zeros(5)], **options)
    with pytest.raises(ValueError, match=r"an episode takes 5 source\(s\); received 1"):
        episodes([np.zeros(5)], ways=5, task="c", **options)
    with pytest.raises(ValueError, match="ways and task belong together"):
        episodes([source], ways=5, **options)
    with pytest.raises(ValueError, match="shots is 0; expected a whole number >= 1"):
        episodes([source], **{**options, "shots": 0})
