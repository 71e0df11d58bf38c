"""Relations of labels, column by column, and their summary by task.

`_columns` reads labels and their kinds. `_moments` (Pearson), `_ranks` (Spearman) and
`_contingency` (phi, Cramer's V, information of classes) compute a measure from rows, or from a
resample of them, which `_resampling` draws. `_information` calls the estimators for numbers.
`_estimates` puts them together for all pairs of columns. `_summary` goes from columns to tasks,
with intervals and corrected p-values, and `_patterns` counts which labels are missing together.
`_linkage` makes groups from a threshold.
"""
