"""What `describe` finds in data that will hurt training, as sentences.

`_labels` looks at the summaries of labels, `_inputs` at the inputs themselves, and `_forms` says in
which form several labels fit: as columns of a task, as its units, or as named tasks.
"""
