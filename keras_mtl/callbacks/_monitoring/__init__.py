"""Callbacks that look at a network on fixed rows while it trains, and change nothing of it.

_monitor     the base: when to measure, on which rows, and how records reach logs and a file
_fixed_rows  rows that are the same each time they are read
_json_lines  one line per epoch in a file that survives a killed run
_log_names   which numbers of pairs and of tasks are logged, and under which names
_weights     the weights of the last step, by the order of a monitor's tasks
"""
