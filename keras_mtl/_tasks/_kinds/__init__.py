"""Heads and losses of kinds of tasks that Keras has none for: one file per kind.

Each file holds a layer from logits to the prediction, the head that ends a tower in it, and the
loss. The factory of the kind, in `_factories`, puts them together with metrics and labels. A loss
says by `reading` what it reads, and by `label_kind` what its labels say (see `_output`).

    _ordinal        classes in an order: CORAL and CORN
    _marginal       groups of another task's classes
    _quantiles      quantiles of a number, in ascending order
    _zero_inflated  an amount that is 0 for many: a probability and a log-normal distribution
    _hazards        times until an event, in bins of time; _cox: by Cox's partial likelihood
    _list_losses    scores of the items of lists, some of which may be missing
"""
