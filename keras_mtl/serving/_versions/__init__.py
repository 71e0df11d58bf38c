"""Versions of a model: the newest whole one, whether it may be loaded, and its exchange."""
