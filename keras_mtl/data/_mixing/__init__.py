"""Streams that draw from several sets: `mixture`, and `resample`, whose sets are classes.

`_samplings` gives the rates of the sets, `_order` the order of the draws and the end of an epoch,
`_layout` the one structure that all elements get, `_filler` brings the elements of a set to it, and
`_draw` puts the stream together from all of these.
"""
