"""From raw data to the elements that training takes: `(x, y, w)` with dicts keyed by task."""

from keras_mtl.data._align_tokens import align_tokens
from keras_mtl.data._augment import augment
from keras_mtl.data._augment_texts import augment_texts
from keras_mtl.data._balanced_class_weights import balanced_class_weights
from keras_mtl.data._branch import Branch
from keras_mtl.data._check_arrays import check_arrays
from keras_mtl.data._check_dataset import check_dataset
from keras_mtl.data._class_weights import class_weights
from keras_mtl.data._decode_images import DecodeImages
from keras_mtl.data._describe import describe
from keras_mtl.data._embed_columns import embed_columns
from keras_mtl.data._episodes import episodes
from keras_mtl.data._fit_scales import fit_scales
from keras_mtl.data._from_table import from_table
from keras_mtl.data._from_tfds import from_tfds
from keras_mtl.data._image_decoder import image_decoder
from keras_mtl.data._known_cardinality import known_cardinality
from keras_mtl.data._label_summary import LabelSummary
from keras_mtl.data._mask_missing import mask_missing
from keras_mtl.data._mask_without_modality import mask_without_modality
from keras_mtl.data._mix_rows import mix_rows
from keras_mtl.data._mixing._mixture import mixture
from keras_mtl.data._mixing._resample import resample
from keras_mtl.data._mixing._samplings import Annealed, Temperature
from keras_mtl.data._select_tasks import select_tasks
from keras_mtl.data._swap_cells import swap_cells
from keras_mtl.data._tabular_encoder import tabular_encoder
from keras_mtl.data._teacher_forcing import teacher_forcing
from keras_mtl.data._text_encoder import text_encoder
from keras_mtl.data._weigh_tasks import weigh_tasks
from keras_mtl.data._with_preprocessing import with_preprocessing

__all__ = [
    "Annealed",
    "Branch",
    "DecodeImages",
    "LabelSummary",
    "Temperature",
    "align_tokens",
    "augment",
    "augment_texts",
    "balanced_class_weights",
    "check_arrays",
    "check_dataset",
    "class_weights",
    "describe",
    "embed_columns",
    "episodes",
    "fit_scales",
    "from_table",
    "from_tfds",
    "image_decoder",
    "known_cardinality",
    "mask_missing",
    "mask_without_modality",
    "mix_rows",
    "mixture",
    "resample",
    "select_tasks",
    "swap_cells",
    "tabular_encoder",
    "teacher_forcing",
    "text_encoder",
    "weigh_tasks",
    "with_preprocessing",
]
