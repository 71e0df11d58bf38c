"""Optuna as the engine of a search. It is imported only if a search uses it.

- `_require`: imports Optuna, or says how to install it
- `_hyper_parameters`: hyper-parameters of Keras Tuner whose values Optuna proposes
- `_plan`: all that a process needs to know to work on the trials
- `_study`: opens a study, claims trials, and takes back those of processes that ended
- `_run_trials`: trains the network of one trial after the other
- `_record_epochs`: writes the logs of each epoch to the study
- `_read_study`: reads the trials of a study
"""
