"""Stages of a training.

_stage      what one stage trains, and the layers that it names
_schedule   which stage an epoch belongs to, and the file that survives a killed run
_optimizer  the optimizer at the begin of a stage
"""
