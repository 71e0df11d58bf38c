"""Your own Keras model under a balancer; the three lines with a plus are all that is added.

python examples/01_your_own_model.py    # twenty seconds on two cores
"""

import keras
import numpy as np
from sklearn.datasets import load_digits

from keras_mtl import BalancedModel, Task, balancers  # +

keras.utils.set_random_seed(0)
pixels, digits = load_digits(return_X_y=True)
labels = {"digit": digits, "loop": np.isin(digits, [0, 6, 8, 9])}  # 0, 6, 8 and 9 have a loop

inputs = keras.Input((64,))
hidden = keras.layers.Dense(64, activation="relu")(keras.layers.Rescaling(1 / 16)(inputs))
digit = keras.layers.Dense(10, activation="softmax")(hidden)
loop = keras.layers.Dense(1, activation="sigmoid")(hidden)
model = keras.Model(inputs, {"digit": digit, "loop": loop})

tasks = [Task.multiclass("digit", 10), Task.binary("loop")]  # + losses and metrics come with them
model = BalancedModel(model, tasks, balancers.PCGrad())  # +
model.compile("adam")
history = model.fit(pixels, labels, validation_split=0.3, epochs=20, verbose=2)
