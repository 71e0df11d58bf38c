"""Whether multi-task learning helps: studies that compare it with one network per task."""

from keras_mtl.studies._advise import Advice, advise
from keras_mtl.studies._budget import Budget
from keras_mtl.studies._compare import compare
from keras_mtl.studies._grouped import grouped
from keras_mtl.studies._searched import searched
from keras_mtl.studies._study import Study
from keras_mtl.studies._trainings._record import Training

__all__ = ["Advice", "Budget", "Study", "Training", "advise", "compare", "grouped", "searched"]
