"""Processes that work on the trials of one search.

- `_identity`: names a process, and tells whether it is alive
- `_datasets`: sends a dataset to another process
- `_files`: the names of the files by which they talk
- `_pool`: starts the processes, and replaces those that end
- `_worker`: the program of such a process
"""
