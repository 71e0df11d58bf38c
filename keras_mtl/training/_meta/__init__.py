"""Learning to adapt to a new source of data from a few labels.

_meta_model       the model that is trained on episodes
_adapt            one adaptation, for use
_inner_loop       gradient steps inside of a training step, which change no variable
_inner_variables  which variables these steps change
_outer_rule       a balancer of the losses of the queries
_check_place      where episodes can be trained
_read_episodes    the form of a batch
"""
