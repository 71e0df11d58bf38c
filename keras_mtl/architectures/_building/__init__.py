"""The parts that builders of architectures are made of.

In the order in which a builder uses them:

    _inputs         the inputs of a network, joined to one tensor of features
    _frozen_bodies  pretrained bodies, and layers inside of them
    _parts          units or recipes to layers
    _stages         bodies as lists of stages; _shared_stages: stages that tasks share
    _experts        experts, gates and mixtures
    _image_maps     convolutions, and first predictions that later ones use; _resize
    _event_chain    logits of events that follow each other
    _towers         towers and heads of the tasks
"""

from keras_mtl.architectures._building._event_chain import (
    check_events,
    end_in_probabilities,
    event_logits,
    join,
)
from keras_mtl.architectures._building._experts import (
    beside,
    check_count,
    check_expert,
    gate_features,
    make_experts,
    mix,
)
from keras_mtl.architectures._building._frozen_bodies import as_graph, read_body
from keras_mtl.architectures._building._image_maps import (
    check_maps,
    convolution,
    convolve,
    distil,
    read_initial,
)
from keras_mtl.architectures._building._inputs import read_inputs
from keras_mtl.architectures._building._parts import (
    Part,
    apply_part,
    check_features,
    check_own_weights,
    check_rank,
    check_units,
    end_towers,
    is_units,
)
from keras_mtl.architectures._building._resize import resize_like
from keras_mtl.architectures._building._shared_stages import repeated_stage
from keras_mtl.architectures._building._stages import (
    Body,
    Stage,
    call_copy,
    new_stage,
    read_stages,
    stage_of_each,
)

__all__ = [
    "Body",
    "Part",
    "Stage",
    "apply_part",
    "as_graph",
    "beside",
    "call_copy",
    "check_count",
    "check_events",
    "check_expert",
    "check_features",
    "check_maps",
    "check_own_weights",
    "check_rank",
    "check_units",
    "convolution",
    "convolve",
    "distil",
    "end_in_probabilities",
    "end_towers",
    "event_logits",
    "gate_features",
    "is_units",
    "join",
    "make_experts",
    "mix",
    "new_stage",
    "read_body",
    "read_initial",
    "read_inputs",
    "read_stages",
    "repeated_stage",
    "resize_like",
    "stage_of_each",
]
