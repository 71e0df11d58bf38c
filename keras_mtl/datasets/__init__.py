"""Real data sets with several tasks, as `tensorflow-datasets` builders and as ready datasets."""

from keras_mtl.datasets._air_quality import AirQuality, air_quality, air_quality_tasks
from keras_mtl.datasets._bike_sharing import BikeSharing, bike_sharing, bike_sharing_tasks
from keras_mtl.datasets._census_income import CensusIncome, census_income, census_income_tasks
from keras_mtl.datasets._ewt_pos_ner import EwtPosNer, ewt_pos_ner, ewt_pos_ner_tasks
from keras_mtl.datasets._fdu_mtl import FduMtl, fdu_mtl, fdu_mtl_tasks
from keras_mtl.datasets._multi_mnist import (
    MultiMnist,
    multi_fashion,
    multi_mnist,
    multi_mnist_tasks,
)
from keras_mtl.datasets._penguins import PalmerPenguins, penguins, penguins_tasks
from keras_mtl.datasets._snips import Snips, snips, snips_tasks
from keras_mtl.datasets._synthetic import (
    label_correlation,
    synthetic_regression,
    synthetic_regression_tasks,
)
from keras_mtl.datasets._synthetic_groups import SyntheticGroups, synthetic_groups
from keras_mtl.datasets._tox21 import Tox21, tox21, tox21_tasks
from keras_mtl.datasets._toxcast import Toxcast, toxcast, toxcast_tasks

__all__ = [
    "AirQuality",
    "BikeSharing",
    "CensusIncome",
    "EwtPosNer",
    "FduMtl",
    "MultiMnist",
    "PalmerPenguins",
    "Snips",
    "SyntheticGroups",
    "Tox21",
    "Toxcast",
    "air_quality",
    "air_quality_tasks",
    "bike_sharing",
    "bike_sharing_tasks",
    "census_income",
    "census_income_tasks",
    "ewt_pos_ner",
    "ewt_pos_ner_tasks",
    "fdu_mtl",
    "fdu_mtl_tasks",
    "label_correlation",
    "multi_fashion",
    "multi_mnist",
    "multi_mnist_tasks",
    "penguins",
    "penguins_tasks",
    "snips",
    "snips_tasks",
    "synthetic_groups",
    "synthetic_regression",
    "synthetic_regression_tasks",
    "tox21",
    "tox21_tasks",
    "toxcast",
    "toxcast_tasks",
]
