"""Labels and weights that users pass as arrays, of whatever library."""

from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

_NUMBERS = "biuf"  # kinds of NumPy dtypes: booleans, integers, unsigned integers, floats


def read_array(value: Any, subject: str) -> npt.NDArray[Any]:
    """Returns an array of numbers as NumPy's, without a copy if its library can do without.

    Keras trains on the same arrays. What it cannot read is refused here, because its own messages
    name neither the task nor the remedy (docs/keras_notes.md, pain 118).

    Args:
        value: Should be an array of NumPy, TensorFlow, pandas or another library.
        subject: The beginning of a message, such as `"task 'click': labels are"`.

    Raises:
        ValueError: If the value is no array, or holds no real numbers, or is sparse or ragged.
    """
    if type(value) is np.ndarray and value.dtype.kind in _NUMBERS:
        return value
    if isinstance(value, tf.RaggedTensor | tf.SparseTensor) or hasattr(value, "tocoo"):
        raise ValueError(
            f"{subject} a {type(value).__name__}; expected a dense array. Pad ragged rows, and "
            "make sparse ones dense, with .to_tensor(), tf.sparse.to_dense or .toarray()."
        )
    if hasattr(value, "iloc"):
        return _read_frame(value, subject)
    if not hasattr(value, "__array__") or isinstance(value, np.generic):
        raise ValueError(
            f"{subject} a {type(value).__name__}; expected an array with one entry per example, "
            "such as np.asarray(...) makes of a list."
        )
    array = np.asarray(value)
    if array.dtype.kind == "V" and array.dtype.names is None:  # bfloat16, which NumPy cannot order
        array = array.astype(np.float32)
    return _check_kind(array, subject)


def _check_kind(array: npt.NDArray[Any], subject: str) -> npt.NDArray[Any]:
    """Checks that an array holds real numbers, or strings, of which others say what is wrong."""
    if array.dtype.kind not in _NUMBERS + "US":
        raise ValueError(
            f"{subject} an array of dtype {array.dtype}; expected real numbers, such as "
            ".astype('float32') makes of objects that are numbers."
        )
    return array


def _read_frame(value: Any, subject: str) -> npt.NDArray[Any]:
    """Returns the numbers of a Series or a DataFrame of pandas; Keras takes NumPy dtypes alone."""
    dtypes = value.dtypes if hasattr(value, "columns") else [value.dtype]
    foreign = sorted({str(dtype) for dtype in dtypes if not isinstance(dtype, np.dtype)})
    if foreign:
        raise ValueError(
            f"{subject} a {type(value).__name__} of the pandas dtype {', '.join(foreign)}, which "
            "Keras does not read. Pass .to_numpy('int64') or .to_numpy('float32'); where labels "
            "are missing, .to_numpy('float32', na_value=0) and sample weights of 0."
        )
    array = value.to_numpy()
    # Keras sees a Series as one column. A frame of several dtypes is cast to floats.
    if array.ndim == 1:
        return _check_kind(array[:, np.newaxis], subject)
    if array.dtype == object and all(dtype.kind in _NUMBERS for dtype in dtypes):
        array = value.to_numpy("float32")
    return _check_kind(array, subject)
