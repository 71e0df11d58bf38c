"""Random changes of texts and tables: labels follow their words, and missing ones stay missing."""

import re

import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import Task, data

TAG, SPAM = Task.tagging("tag", 1000), Task.binary("spam")
WORDS = 12
TEXTS = np.random.default_rng(0).permutation(900)[: 40 * WORDS].reshape(40, WORDS) + 1
TEXTS[np.arange(WORDS)[None] >= np.arange(40)[:, None] % WORDS + 1] = 0  # 1 to 12 words
KNOWN = (TEXTS % 3 > 0).astype("float32")


def texts(strings=False):
    x = TEXTS
    if strings:
        x = np.array([" ".join(f"w{word}" for word in row if word) for row in TEXTS])
        y, w = {"spam": np.arange(40) % 2}, {"spam": np.ones(40, "float32")}
        return tf.data.Dataset.from_tensor_slices((x, y, w)).batch(40)
    y = {"tag": TEXTS + 5, "spam": np.arange(40) % 2}
    w = {"tag": KNOWN * (TEXTS > 0), "spam": (np.arange(40) % 4 > 0).astype("float32")}
    return tf.data.Dataset.from_tensor_slices((x, y, w)).batch(40)


def first(dataset):
    return tf.nest.map_structure(np.asarray, next(iter(dataset)))


def counts(x):
    return (x > 0).sum(1)


@pytest.mark.parametrize(("drop", "swap"), [(0.3, 0.0), (0.0, 0.4), (0.3, 0.4), (0.0, 0.0)])
def test_labels_and_weights_follow_their_words(drop, swap):
    dataset = data.augment_texts(texts(), [TAG, SPAM], drop=drop, swap=swap)
    assert int(dataset.cardinality()) == 1
    x, y, w = first(dataset)
    is_word = x > 0
    np.testing.assert_array_equal(y["tag"], np.where(is_word, x + 5, 0))
    np.testing.assert_array_equal(w["tag"], is_word * (x % 3 > 0))
    np.testing.assert_array_equal(y["spam"], np.arange(40) % 2)
    np.testing.assert_array_equal(w["spam"], np.arange(40) % 4 > 0)
    # Padding stays behind, and no word is there twice or new.
    assert (np.diff(is_word.astype(int), axis=1) <= 0).all()
    for row, before in zip(x, TEXTS, strict=True):
        words = row[row > 0].tolist()
        assert len(set(words)) == len(words) and set(words) <= set(before)
        if not swap:
            assert words == [word for word in before if word in words]
        if not drop:
            assert sorted(words) == sorted(before[before > 0])
    if not drop and not swap:
        np.testing.assert_array_equal(x, TEXTS)


def test_words_are_dropped_at_the_rate_and_one_stays():
    x, _, _ = first(data.augment_texts(texts(), [TAG, SPAM], drop=0.3))
    assert counts(x).min() == 1
    long = counts(TEXTS) > 4
    share = counts(x)[long].sum() / counts(TEXTS)[long].sum()
    assert share == pytest.approx(0.7, abs=0.07)
    x, _, _ = first(data.augment_texts(texts(), [TAG, SPAM], drop=0.99))
    assert counts(x).min() == 1 and counts(x).mean() < 1.3


def test_swaps_move_no_word_by_more_than_one_place():
    row = np.tile(np.arange(1, 41), (200, 1))
    dataset = tf.data.Dataset.from_tensors((row, {"spam": np.zeros(200)}))
    x, _, _ = first(data.augment_texts(dataset, [SPAM], drop=0.0, swap=0.3))
    moves = x - np.arange(1, 41)
    assert set(moves.ravel().tolist()) == {-1, 0, 1}
    rights = moves == 1
    np.testing.assert_array_equal(moves[:, 1:] == -1, rights[:, :-1])
    assert not rights[:, -1].any()
    # A pair begins with probability s unless the one before did: s / (1 + s).
    assert rights[:, 5:35].mean() == pytest.approx(0.3 / 1.3, abs=0.02)
    x, _, _ = first(data.augment_texts(dataset, [SPAM], drop=0.0, swap=0.999))
    assert (x != np.arange(1, 41)).mean() > 0.95


def test_strings_lose_words_too_and_texts_may_be_rewritten():
    x, _, _ = first(data.augment_texts(texts(True), [SPAM], drop=0.4, swap=0.2))
    numbers = [{int(word[1:]) for word in text.decode().split(" ")} for text in x]
    assert all(n <= set(row) for n, row in zip(numbers, TEXTS, strict=True))
    assert min(len(n) for n in numbers) == 1 and sum(map(len, numbers)) < 0.8 * (TEXTS > 0).sum()
    seeds = []

    def rewrite(values, seed):
        seeds.append(seed)
        return tf.strings.regex_replace(values, "w", "v")

    x, _, _ = first(data.augment_texts(texts(True), [SPAM], drop=0.0, rewrite=rewrite))
    assert x[0].decode() == f"v{TEXTS[0, 0]}" and seeds[0].dtype == tf.int32


def test_epochs_differ_and_seeds_do_not():
    def epochs(seed):
        dataset = data.augment_texts(texts(), [TAG, SPAM], drop=0.3, seed=seed)
        return [first(dataset)[0] for _ in range(1)] + [
            np.asarray(x) for x, _, _ in dataset.repeat(2)
        ]

    one, again, other = epochs(1), epochs(1), epochs(2)
    assert (one[1] != one[2]).any() and (one[1] != other[1]).any()
    np.testing.assert_array_equal(one[1], again[1])


TABLE = np.random.default_rng(1).normal(size=(30, 4)).astype("float32")
CLASS = Task.multiclass("z", 3)


def test_mixed_rows_have_the_mixed_loss_of_the_labels_that_are_there():
    z = np.arange(30) % 3
    spam = np.where(np.arange(30) % 2 == 0, 1.0, np.nan)
    raw = tf.data.Dataset.from_tensor_slices((TABLE, {"z": z, "spam": spam})).batch(30)
    dataset = data.mix_rows(data.mask_missing(raw, [CLASS, SPAM]), [CLASS, SPAM], alpha=0.8)
    x, y, w = first(dataset)
    np.testing.assert_array_equal(x[:30], x[30:])
    share = w["z"][:30]
    np.testing.assert_allclose(share + w["z"][30:], 1, atol=1e-6)
    # Which row is the partner? The one with which the mixture is exact.
    mixtures = share[:, None, None] * TABLE[:, None] + (1 - share)[:, None, None] * TABLE[None]
    partners = np.abs(mixtures - x[:30, None]).max(-1).argmin(1)
    assert sorted(partners) == list(range(30)) and (partners != np.arange(30)).mean() > 0.7
    np.testing.assert_array_equal(y["z"], [*z, *z[partners]])
    is_known = ~np.isnan(spam)
    expected = [*(share * is_known), *((1 - share) * is_known[partners])]
    np.testing.assert_allclose(w["spam"], expected, atol=1e-6)
    assert share.std() > 0.1 and share.min() >= 0 and share.max() <= 1


def test_a_part_of_the_inputs_is_mixed():
    x = {"t": TABLE, "word": np.array(["a", "b"] * 15)}
    dataset = tf.data.Dataset.from_tensors((x, {"z": np.zeros(30, int)}))
    mixed, _, _ = first(data.mix_rows(dataset, [CLASS], key="t", alpha=1.0))
    assert mixed["word"].tolist() == [b"a", b"b"] * 30
    assert (mixed["t"][:30] != TABLE).any()


def test_cells_of_a_dict_of_columns_come_from_their_column():
    x = {"t": TABLE, "word": np.array([f"w{i}" for i in range(30)])}
    dataset = tf.data.Dataset.from_tensors((x, {"z": np.zeros(30, int)}))
    changed, _ = first(data.swap_cells(dataset, rate=0.5))
    for column in range(4):
        assert set(changed["t"][:, column]) <= set(TABLE[:, column])
    moved = changed["word"] != x["word"].astype("S")
    assert 0.2 < moved.mean() < 0.8 and set(changed["word"]) <= set(x["word"].astype("S"))
    same, _ = first(data.swap_cells(dataset, rate=0.5, key="t"))
    assert (same["word"] == x["word"].astype("S")).all() and (same["t"] != TABLE).any()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: data.augment_texts(texts(), [TAG, SPAM], drop=1.0), ValueError, "drop is 1.0"),
        (
            lambda: data.augment_texts(texts(), [TAG, SPAM], rewrite=lambda x, s: x),
            ValueError,
            "the labels of task 'tag' belong to words, and rewrite returns other words",
        ),
        (
            lambda: data.augment_texts(texts().unbatch(), [TAG, SPAM]),
            TypeError,
            "needs batches of texts",
        ),
        (lambda: data.augment_texts(texts(), [TAG, SPAM], key="q"), ValueError, "key='q'"),
        (lambda: data.mix_rows(texts(), [TAG, SPAM]), TypeError, "needs batches of real numbers"),
        (lambda: data.mix_rows(texts(), [TAG, SPAM], alpha=0), ValueError, "alpha is 0"),
        (
            lambda: data.mix_rows(texts(), [Task.survival("s", [1.0, 2.0], method="cox")]),
            ValueError,
            "the loss of task 's' reads the rows of a batch together",
        ),
        (lambda: data.swap_cells(texts(), rate=1.0), ValueError, "rate is 1.0"),
    ],
)
def test_what_cannot_be_changed_is_refused(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()


def table_rows(columns):
    y = {"spam": np.zeros(3, "float32"), "m": np.zeros((3, 2), "float32")}
    return tf.data.Dataset.from_tensor_slices((np.zeros((3, columns), "float32"), y))


MULTI = Task.multilabel("m", columns=["p", "q"])


@pytest.mark.parametrize(
    ("change", "rows", "shapes"),
    [
        # Without a look at the labels, the cells of a row would pass for those of a column.
        (data.swap_cells, table_rows(4), "[(4,), (2,), ()]"),
        (data.swap_cells, table_rows(4).map(lambda x, y: (x, {"m": y["m"]})), "[(4,), (2,)]"),
        (lambda rows: data.mix_rows(rows, [SPAM, MULTI]), table_rows(2), "[(2,), (2,), ()]"),
        (lambda rows: data.mix_rows(rows, [SPAM, MULTI]), table_rows(3), "[(3,), (2,), ()]"),
    ],
)
def test_rows_that_are_not_batched_are_refused(change, rows, shapes):
    message = (
        f"the first axis of all parts counts the rows; received elements of the shapes {shapes}"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        change(rows)
    for size in (2, 1):
        assert next(iter(change(rows.batch(size))))[0].shape[0] in (size, 2 * size)


@pytest.mark.parametrize("change", [data.mix_rows, data.swap_cells])
def test_rows_of_unknown_number_are_changed(change):
    x = np.arange(12, dtype="float32").reshape(6, 2)
    rows = tf.data.Dataset.from_tensor_slices((x, {"a": np.ones(6, "float32")}))
    filtered = rows.filter(lambda x, y: x[0] >= 0).batch(4)
    tasks = [[Task.binary("a")]] if change is data.mix_rows else []
    assert len(list(change(filtered, *tasks))) == 2
