"""Parts of the question "did it help?", in the order in which `compare` calls them.

`_modes` knows for metrics by name whether they are better high or low, and their score by chance.
`_named_values` reads metrics as dicts by task. `_read_labels` and `_read_predictions` read the
arrays, `_read_metrics` the metric or metrics of each task, and `_cells` cuts them into one cell per
task, column and metric. `_scorers` lists, by name of the metric, the scores of predictions and the
influence of each row on them; `_scores_of_rows`, `_scores_of_classes` and `_auc` compute them.
`_resampling` draws rows for metrics that are functions of the user. `_measure` scores a cell.
`_intervals` adds the variances over seeds and over rows, `_second_tests` holds tests by permutation
and by counts, `_corrections` corrects p-values for many tasks, `_rule` comes to a verdict.
`_totals` sums up all rows, and `_texts` writes sentences and tables.
"""
