"""The data of a study: three datasets, or functions that make them.

_parts         the datasets as every training gets them, and what is refused
_fingerprint   a number of all that a dataset yields, in its order or in any
_label_counts  how many labels the tasks have in each part, and the first of them
_labeled_batches  the training rows that have a label of one task, in full batches
_test_rows     the labels of the test rows, and which metrics can be computed of them row by row
"""
