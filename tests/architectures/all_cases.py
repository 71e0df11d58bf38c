"""How each builder is tried: its arguments, its tasks and what they read."""

import functools

import base_cases
import chain_cases
import expert_cases
import keras
import low_rank_cases
import sharing_cases

from keras_mtl import architectures

# Small networks; a builder that is not here is built with its defaults.
CASES = base_cases.CASES | sharing_cases.CASES | expert_cases.CASES | chain_cases.CASES
CASES |= low_rank_cases.CASES
WORLDS = sharing_cases.WORLDS | chain_cases.WORLDS | low_rank_cases.WORLDS


def world(name):
    """What a builder is tried on."""
    return WORLDS.get(name, base_cases.World())


def build(name, tasks=None, /, **arguments):
    """The network of a builder, over as many tasks as usual if none are given."""
    inputs = keras.Input(world(name).features().shape[1:])
    tasks = tasks or world(name).tasks(world(name).usual_count)
    return getattr(architectures, name)(inputs, tasks, **CASES.get(name, {}) | arguments)


@functools.cache
def built(name, count):
    """The network of a builder over so many tasks, which tests look at and leave as it is."""
    keras.utils.set_random_seed(0)
    return build(name, world(name).tasks(count))
