"""Values as users bring them, read as arrays of float64 with NaN for what is missing.

`_numbers` reads lists, frames, masked arrays and columns of pandas with NA; `_points` reads points
with one value per objective, `_matrices` matrices of tasks by tasks, and `_names` names of tasks;
`_choices` reads an argument that holds for all names, or has one value for each.
"""
