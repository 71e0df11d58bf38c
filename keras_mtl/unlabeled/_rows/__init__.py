"""Helpers of rows without labels.

_append   appends changed rows to a batch, with labels for one more task
_judged   the tasks of a hook, and their probabilities
_nearness the penalty on predictions of changed rows
_seeds    other draws in each batch and epoch, and the same ones again from the same seed
"""
