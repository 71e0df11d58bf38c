"""Real data sets with several tasks, as `tensorflow-datasets` builders and ready to train on."""

from keras_mtl.datasets._census_income import CensusIncome, census_income, census_income_tasks

__all__ = ["CensusIncome", "census_income", "census_income_tasks"]
