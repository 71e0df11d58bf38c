"""Tables: their columns as arrays, statistics of the columns, and the layers that apply them.

`_frames` reads data frames and dicts of arrays, `_table` opens these and datasets alike.
`_numeric_statistics` and `_vocabularies` compute in one pass what `tabular_encoder` keeps of the
training data. `NumericColumns` and `CategoryCodes` apply it inside the served graph.
"""
