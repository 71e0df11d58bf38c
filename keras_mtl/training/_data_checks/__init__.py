"""The door of a model: every way in which data come passes here.

_checked_model   fit, evaluate, predict, train_on_batch, test_on_batch, predict_on_batch
_data_checker    decides what is checked: arrays at once, streams batch by batch
_streams         generators, `PyDataset`s and loaders as datasets
_batch_dtypes    batches of these, whose numbers a cast to the first batch's dtypes would change
_checked_stream  a dataset with a check of each batch

The rules are those of `data.check_dataset` and `data.check_arrays`, the door of plain Keras.
"""

from keras_mtl.training._data_checks._checked_model import CheckedModel
from keras_mtl.training._data_checks._data_checker import DataChecker

__all__ = ["CheckedModel", "DataChecker"]
