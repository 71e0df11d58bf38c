"""Clicks, purchases and dwell times of a shop whose true probabilities are known."""
