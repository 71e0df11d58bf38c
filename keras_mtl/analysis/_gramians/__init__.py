"""Statistics of a Gramian of gradients, in the order of their computation.

`_read` reads one Gramian or those of many steps, and the weights. `_pairs` averages over steps and
compares two gradients; `_steps` looks at single steps (conflicts, the weighted direction);
`_spectrum` counts tasks by the eigenvalues of the cosines.
"""
