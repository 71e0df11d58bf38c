"""Rules: what is known of outputs beside the labels, in training and in what is served.

    implies        whenever one output is true, another one is
    at_most_one    outputs exclude each other
    exactly_one    and one of them is true
    ordered        each output is at least as large as the next
    sums           an output is the sum of others
    monotonic      an output that never falls, or never rises, along a column of the inputs
    hierarchy      a tree, or a graph without cycles, of outputs
    MaxConstraint  the loss of one task whose labels form a hierarchy
    relations      rules as a graph of tasks, for `knowledge_propagation` and `soft_sharing`
    Rule           the base, for rules of your own

In training a rule is a penalty, `BalancedModel(penalties=[...])` (`monotonic` is a hook,
`BalancedModel(prepare=...)`, and no more than that); `export.with_rules` makes it hold
exactly in what is served. Helpers: `_places` finds outputs by name, `_consistency` checks that
rules can hold together, `_projections` has the nearest numbers by which they hold.
"""

from keras_mtl.rules._hierarchy import hierarchy
from keras_mtl.rules._implies import implies
from keras_mtl.rules._max_constraint import MaxConstraint
from keras_mtl.rules._monotonic import monotonic
from keras_mtl.rules._one_of import at_most_one, exactly_one
from keras_mtl.rules._ordered import ordered
from keras_mtl.rules._relations import relations
from keras_mtl.rules._rule import Rule
from keras_mtl.rules._sums import sums

__all__ = [
    "MaxConstraint",
    "Rule",
    "at_most_one",
    "exactly_one",
    "hierarchy",
    "implies",
    "monotonic",
    "ordered",
    "relations",
    "sums",
]
