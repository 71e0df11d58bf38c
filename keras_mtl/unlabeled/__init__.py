"""Rows without labels: what they can teach beside the tasks.

    PseudoLabels   confident predictions as labels, where a task has none
    Consistency    predictions that stay the same where the inputs are changed a little
    mask_columns   rows with cells of other rows: a task that restores what stood there
    mask_tokens    texts with masked tokens: a task that predicts them
    two_views      changed rows beside the rows themselves, for a contrastive task
    contrastive    the task that finds the two views of a row; NTXent is its loss
    SwapCells      the layer that takes cells from other rows of the batch

The first two are hooks, `BalancedModel(prepare=...)`; the others are auxiliary tasks, which every
balancer weighs like any other. `transfer.with_teachers` takes labels from other networks, and
`training.VirtualAdversarial` moves rows where predictions change most. Helpers: `_rows` appends
rows, draws cells, and compares predictions.
"""

from keras_mtl.unlabeled._consistency import Consistency
from keras_mtl.unlabeled._contrastive import contrastive
from keras_mtl.unlabeled._mask_columns import mask_columns
from keras_mtl.unlabeled._mask_tokens import mask_tokens
from keras_mtl.unlabeled._nt_xent import NTXent
from keras_mtl.unlabeled._pseudo_labels import PseudoLabels
from keras_mtl.unlabeled._swap_cells import SwapCells
from keras_mtl.unlabeled._two_views import two_views

__all__ = [
    "Consistency",
    "NTXent",
    "PseudoLabels",
    "SwapCells",
    "contrastive",
    "mask_columns",
    "mask_tokens",
    "two_views",
]
