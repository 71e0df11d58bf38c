"""Helpers of active learning.

_distributions  checks that arrays hold probabilities
_questions      labels that can be bought: of a task, or of one of its columns
_networks       predictions for rows, with dropout or without
_kinds          the distributions that a task predicts, whatever its kind
_offers         what labels cost, alone or several of one row together
_turns          how a budget is divided among labels
_best_offers    the offers with the most worth per cost, until a budget is spent
_spread_offers  offers drawn apart from each other, until a budget is spent
_labels         labels of the pool as arrays: which are there, and how answers get in
_history        what was bought, in a file
"""
