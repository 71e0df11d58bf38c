"""Gradients that are changed after the rule, of the encoders of modalities.

_gradient_modulation  the factors of a step, and what they do; _heads: by whose probabilities
"""
