"""Training of the heads of a network on its frozen trunk.

_heads_network  the network, of which only the variables of single tasks are trained
_head           the values of one task's variables, taken and put back
_best_heads     each head at its best epoch, with an early stopping of its own
_refit          the refit as a whole, and the file by which one that was killed begins again
"""
