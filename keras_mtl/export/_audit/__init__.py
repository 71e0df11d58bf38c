"""What a SavedModel could do to the machine that loads it, read from its file beforehand.

_audit        `audit` and its result
_allowed      the operations that exports of this package use, and others that only compute
_saved_graph  the operations of a SavedModel, function by function, and who calls whom
"""
