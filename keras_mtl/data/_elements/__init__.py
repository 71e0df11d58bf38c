"""The element `(x, y, w)` that a dataset yields: how it is read, checked and completed."""
