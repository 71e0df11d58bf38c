"""The element `(x, y, w)` of a dataset.

`_element` reads its specs and checks its keys, once for all data functions. `_merge_weights`,
`_fill_missing` and `_make_blank` compute parts of it in the graph: weights, labels without missing
entries, and zeros for labels or inputs that a dataset does not have.
"""
