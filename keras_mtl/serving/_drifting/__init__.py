"""Parts of `drift`: a log of new rows, compared with the reference of a version.

_read      columns, predictions and labels as arrays, whatever the user has
_rows      what is known of one task and of one column
_tasks     predictions and labels of a task
_columns   the values of a column
_advice    what to do
_sections  the sections of the page, which `analysis` writes
_pictures  figures of predictions and of calibration
"""
