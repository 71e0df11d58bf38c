"""Helpers of random changes of texts and tables.

_words  texts as rows of words, dense or ragged: dropped, swapped, and labels that follow
_seeds  other draws in each batch and epoch, and the same ones again from the same seed
_cells  cells of a table, taken from other rows
_check  inputs, and tasks whose labels follow their words
"""
