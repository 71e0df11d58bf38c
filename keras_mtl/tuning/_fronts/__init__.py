"""Several objectives: their values from one epoch, poor trials, and the front of all trials.

- `_aims`: the objectives of a search with their reference, and the epoch that stands for a trial
- `_curves`: the logs of the epochs of a trial, averaged over its trainings
- `_poor_trials`: the rule that stops a trial in which every task is worse than usual
- `_read_front`: makes the result from the trials that an engine recorded
"""
