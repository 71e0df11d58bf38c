"""The search for groups of tasks, with tasks as positions and groups as tuples of them.

`_score` holds affinities and scores groups. `_overlapping` finds the best groups by a mixed-integer
program, `_partitions` the best partition by a dynamic program over all subsets, and `_swaps` good
partitions of many tasks, by average linkage and by moves.
"""
