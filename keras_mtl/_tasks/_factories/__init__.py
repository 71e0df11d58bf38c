"""The kinds of tasks: one file per kind, each with one classmethod of `Task`.

A factory fills in a head, a loss, metrics and labels that belong together. `Task` inherits from
all factories, so that `Task.binary(...)` is a plain classmethod, which editors complete and type
checkers check. They inherit from `BaseTask`, whose constructor they call. For a new kind of task,
write one file here, beside the kind that is nearest to it, and add its class to the bases of
`Task` in `_task.py`.

    _binary        two classes
    _multiclass    one of several classes per example; _tagging: per token;
                   _segmentation: per pixel; _class_task: what the three share
    _multilabel    several yes-or-no labels
    _regression    real values
    _count         numbers 0, 1, 2, ...
    _ordinal       classes in an order
    _marginal      groups of another task's classes
    _generation    the next token of a sequence
    _quantiles     quantiles of a real value
    _zero_inflated amounts that are 0 for many
    _survival      times until an event
    _ranking       lists whose items are put in order
"""
