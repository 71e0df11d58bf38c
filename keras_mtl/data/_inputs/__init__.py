"""The inputs of a network: whether Keras can read them, and whether they are finite.

`_readable_inputs` refuses arrays and frames that Keras cannot read. `_finite_inputs` finds NaN and
infinite numbers, and says where they are. `_missing_path` tells whether the network fills them, of
which `_filled_rows` makes sure that it is on purpose. `_guarded_network` answers with NaN where it
does not.
"""
