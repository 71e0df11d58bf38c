"""What happens inside a network: its graph, its data, gates, attributions, units and images.

_core            the network whose graph is looked at, behind a preprocessing model
_cut             a network in two parts: up to some tensors, and from them to the outputs
_rows            batches of labeled rows, with weight 0 for missing labels
_losses          the mean losses of tasks over all rows

_branches        which branch of a stack a task reads

_mixtures        the layers that mix experts; _expert_names: what they mix
_gate_reader     what gates do with batches: _gate_sums, the statistics of their weights, and
                 _ablation, the losses without an expert

_entrances       the tensors that inputs are attributed at; _column_names: their columns
_path            gradients along the path from baselines to rows; _baselines: where it begins,
                 _targets: the numbers that are explained

_scorer          one metric per task, of all rows; _table_columns: the columns that are permuted

_relation_tables the matrices of layers that mix the features of tasks; _positions: whose they are

_shared_features the tensors between trunk and towers; _unit_sums: what their units are worth
_gradient_maps   sizes of gradients with respect to pixels
_probe_data      features of layers and labels of tasks; _probing_fits: linear models of them
"""
