"""Sections of a report: each file makes one kind from the results that it describes.

`_verdict` and `_trade_offs` read comparisons, `_curves` metrics and task weights after each epoch,
`_conflict` gradients, `_relations` matrices and groups of tasks (with `_label_relations` and
`_matrices`), `_search` the trials of a search, `_gates` the use of experts, `_importance` what
inputs are worth. Tables of users become sections in `_build`.
"""
