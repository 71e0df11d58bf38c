"""What follows from the trainings: chosen settings, comparisons with the baseline, tables.

_choose     the best trial of a network, by validation data
_judge      the comparison of each contender with the baseline on the test rows
_best       the best trained networks, by validation data, built again
_tables     the study as text, and as rows of CSV files
_sections   the study as sections of a report
"""
