"""The parts that builders of architectures are made of.

What each module holds, in the order in which a builder uses it:

    _inputs         the inputs of a network, joined to one tensor of features
    _parts          units or recipes to layers, and checks of their features
    _stages         bodies as lists of stages
    _shared_stages  stages of which one instance serves all tasks
    _frozen_bodies  bodies that are one layer, and the layers inside of them
    _experts        experts, gates and mixtures
    _image_maps     convolutions, messages between tasks, and initial predictions
    _resize         changes of the size of features
    _towers_by_name towers that differ between tasks
    _towers         towers and heads of the tasks
    _event_chain    logits and probabilities of events that follow each other
"""

from keras_mtl.architectures._building._event_chain import (
    check_events,
    end_in_probabilities,
    event_logits,
    join_features,
)
from keras_mtl.architectures._building._experts import (
    check_count,
    check_expert,
    gate_features,
    join_experts,
    make_experts,
    mix_experts,
)
from keras_mtl.architectures._building._frozen_bodies import as_functional, read_body
from keras_mtl.architectures._building._image_maps import (
    add_messages,
    check_maps,
    convolution_layer,
    convolve,
    read_initial_predictions,
)
from keras_mtl.architectures._building._inputs import read_inputs
from keras_mtl.architectures._building._parts import (
    Part,
    apply_part,
    check_features,
    check_separate_variables,
    check_units,
    is_units,
)
from keras_mtl.architectures._building._resize import resize_like
from keras_mtl.architectures._building._shared_stages import reusable_stage
from keras_mtl.architectures._building._stages import (
    Body,
    Stage,
    call_copy,
    new_stage,
    read_stages,
    stage_per_task,
)
from keras_mtl.architectures._building._towers import check_rank, end_towers
from keras_mtl.architectures._building._towers_by_name import Tower, towers_by_name

__all__ = [
    "Body",
    "Part",
    "Stage",
    "Tower",
    "add_messages",
    "apply_part",
    "as_functional",
    "call_copy",
    "check_count",
    "check_events",
    "check_expert",
    "check_features",
    "check_maps",
    "check_rank",
    "check_separate_variables",
    "check_units",
    "convolution_layer",
    "convolve",
    "end_in_probabilities",
    "end_towers",
    "event_logits",
    "gate_features",
    "is_units",
    "join_experts",
    "join_features",
    "make_experts",
    "mix_experts",
    "new_stage",
    "read_body",
    "read_initial_predictions",
    "read_inputs",
    "read_stages",
    "resize_like",
    "reusable_stage",
    "stage_per_task",
    "towers_by_name",
]
