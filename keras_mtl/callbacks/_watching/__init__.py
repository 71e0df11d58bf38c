"""What is watched in the logs: one metric per task, its history, and where that is kept.

_watched_metrics  which metric of each task, and what counts as an improvement
_progress         the best value of each task and of all together, and how long ago it was
_state_file       the history as JSON, so that a killed run goes on
_best_towers      the towers of best epochs, in memory and in a file
_watcher          the base of the callbacks: reads the logs of each epoch, and keeps the history
"""
