"""From a data frame with gaps to a served model, in ten lines: a small clinic.

    python examples/13_small_clinic.py         # needs pandas; half a minute on two cores

2,000 patients, 100 columns with gaps, three rare outcomes that share their causes. The data are
made up, so that the best possible ranking is known.
"""

import argparse
import tempfile

import keras
from helpers import clinic_frame, scores

import keras_mtl as mtl
from keras_mtl import Task, architectures, data


def main(frame, folder, epochs=10):
    """Trains a network on a frame, writes it with its preprocessing, and returns both as one."""
    tasks = [Task.binary(name) for name in clinic_frame.OUTCOMES]
    train = data.from_table(frame, tasks, batch_size=64)
    encoder = data.tabular_encoder(train, missing="median", categorical=["ward"], clip=5)
    encoded = train.map(lambda columns, labels, weights: (encoder(columns), labels, weights))
    features = keras.layers.Dropout(0.5)(data.embed_columns(encoder, units=2))
    network = architectures.hard_sharing(features, tasks)
    network.compile(keras.optimizers.AdamW(1e-3, weight_decay=0.3), **mtl.compile_args(tasks))
    network.fit(encoded.cache().shuffle(64), epochs=epochs, shuffle=False, verbose=0)
    served = data.with_preprocessing(encoder, network)
    mtl.export.saved_model(served, tasks, folder)
    return served


def measure(served, frame, truth):
    """Returns by outcome the AUC of the predictions, and that of the true probabilities."""
    rows = data.from_table(frame, batch_size=500, encoder=served)
    predictions = served.predict(rows, verbose=0)
    aucs = {}
    for name in clinic_frame.OUTCOMES:
        known = frame[name].notna().to_numpy()
        labels = frame[name].to_numpy()[known]
        guesses = predictions[name][known, 0]
        aucs[name] = scores.auc(labels, guesses), scores.auc(labels, truth[name][known])
    return aucs


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
        parser.add_argument("--epochs", type=int, default=10)
        parser.add_argument("--export", default=f"{folder}/clinic/1")
        options = parser.parse_args()
        patients, _ = clinic_frame.make_clinic()
        keras.utils.set_random_seed(0)
        served = main(patients, options.export, options.epochs)
        print("outcome      AUC of new patients  of the true probabilities")
        for name, (ours, best) in measure(served, *clinic_frame.make_clinic(8000, seed=1)).items():
            print(f"{name:<12} {ours:19.3f} {best:26.3f}")
