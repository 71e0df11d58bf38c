"""Rows that lie close to those of the batch, where the network errs most.

_moved_rows           the hook that appends moved rows, whatever moves them
_adversarial          along the gradient of the losses; _virtual_adversarial: without labels
_nearby               steps of a given length, for each example by itself
_smoothness           how far predictions for moved rows are from the others, as a penalty
"""
