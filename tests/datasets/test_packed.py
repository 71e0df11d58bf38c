import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_mtl.datasets._packed import pack, unpack, vocabularies

ROW = st.tuples(st.integers(0, 2**24 - 1), st.integers(0, 300), st.text("ab ?", max_size=3))


@settings(max_examples=50, deadline=None)
@given(st.lists(ROW, min_size=1, max_size=30), st.integers(0, 30))
def test_an_unpacked_table_equals_the_packed_one(rows, first):
    first = min(first, len(rows))
    table_columns = {
        "cents": [f"{cents / 100:.2f}" for cents, _, _ in rows],
        "code": [str(code) for _, code, _ in rows],
        "word": [word for _, _, word in rows],
    }
    contents = pack(table_columns, {"train": first, "test": len(rows) - first}, {"cents": 100})
    tables = unpack(contents)
    for name, entries in table_columns.items():
        both = np.concatenate([tables["train"][name], tables["test"][name]]).tolist()
        assert both == ([float(entry) for entry in entries] if name == "cents" else entries)
    assert len(tables["train"]["word"]) == first
    assert vocabularies(contents)["word"] == sorted(set(table_columns["word"]))


def test_more_than_256_words_take_two_bytes():
    words = [f"{number:03}" for number in range(300)]
    tables = unpack(pack({"word": words}, {"train": 300}, {}))
    assert tables["train"]["word"].tolist() == words
