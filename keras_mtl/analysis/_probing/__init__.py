"""What a network's losses and gradients are on some rows, without a change to the network.

_read_batches  batches of a dataset, checked as `fit` checks them, in pairs; tasks of a model
_probe         losses, gradients of the shared variables, importance of shared units: functions of
               all values of the network's variables
_gramians      inner products of gradients of two batches
_permute       labels of permuted rows, for comparison
_look_ahead    one step of the model's optimizer, taken back; _affinities: what it does to losses
_relations     relations of tasks that do not depend on signs, summed over batches
_graph         functions as graphs
_means         means of measurements, some of which are missing
_snapshot      the values of all variables of a training
_trials        what a task is worth to another one, by some steps with it and without it
"""
