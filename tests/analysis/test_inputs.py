"""Arrays as users bring them."""

import numpy as np
import pandas as pd
import pytest

from keras_mtl.analysis._inputs._numbers import read_numbers


@pytest.mark.parametrize(
    "values",
    [
        [1, None, 3],
        [1.0, float("nan"), 3.0],
        np.ma.masked_array([1, 2, 3], [False, True, False]),
        pd.Series([1, pd.NA, 3], dtype="Int64"),
        pd.Series([1, None, 3]),
        (1, pd.NaT, np.float32(3)),
    ],
)
def test_whatever_is_missing_becomes_nan(values):
    result = read_numbers(values, "age")
    assert result.dtype == np.float64
    np.testing.assert_array_equal(result, [1, np.nan, 3])


def test_booleans_become_0_and_1():
    np.testing.assert_array_equal(read_numbers([True, False], "click"), [1, 0])
    series = pd.Series([True, pd.NA, False], dtype="boolean")
    np.testing.assert_array_equal(read_numbers(series, "click"), [1, np.nan, 0])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["a", "b"], "age has dtype <U1; expected numbers"),
        ([1, "b", None], "age has dtype|age holds 'b' of type str; expected numbers"),
        (np.array(["2020-01-01"], "datetime64[D]"), "age has dtype datetime64"),
        ([1 + 2j], "age has dtype complex128"),
    ],
)
def test_what_is_no_number_is_refused_by_name(values, message):
    with pytest.raises(TypeError, match=message):
        read_numbers(values, "age")
