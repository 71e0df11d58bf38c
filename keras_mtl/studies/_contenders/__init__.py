"""What is compared: functions that build networks, and the settings that are tried.

_contender      a contender: how it is built, and into which networks its tasks are divided
_settings       the settings of a trial: learning rate, task weights, hyper-parameters
_network        one network of a contender: built with some settings, compiled and checked
_read           the networks of all contenders and of the baseline, each built once to check it
"""
