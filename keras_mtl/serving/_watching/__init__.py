"""Watching of what a model predicts and is asked, per task and per column.

_drift          how far predictions are from those on training rows
_calibration    how far probabilities are from labels that came back
_bins           how predictions of a task are counted
_reference      reference.json: what training rows looked like
_watch          counts of the version that is served
"""
