"""The species of a penguin and its body mass: classification and regression on shared layers.

    python examples/02_classification_and_regression.py --seeds 5

Palmer penguins, complete, ship with keras_mtl; --data-dir only says where they are prepared.
Some masses are missing. Squared errors of kilograms and cross-entropies differ in scale, which the
last network's balancer evens out.
"""

from helpers import comparison, penguins

from keras_mtl import architectures, balancers, data, datasets


def main(options):
    species, _, mass = datasets.penguins_tasks()
    tasks = [species, mass]
    encoder, train, (x, y, w) = penguins.load(tasks, options)

    def run(chosen, balancer=None):
        features = data.embed_columns(encoder, units=2)
        network = architectures.hard_sharing(features, chosen, shared=(32, 16), tower=(8,))
        model = comparison.fit(network, chosen, train, options, balancer)
        return penguins.figures(model.predict(x, verbose=0), y, w)

    uncertainty = balancers.Uncertainty(regression={"species": False, "mass": True})
    variants = {
        "one for each task": lambda: run(tasks[:1]) | run(tasks[1:]),
        "hard sharing": lambda: run(tasks),
        "hard sharing, Uncertainty": lambda: run(tasks, uncertainty),
    }
    return comparison.table(variants, options)


if __name__ == "__main__":
    defaults = {"epochs": 100, "batch_size": 32, "learning_rate": 5e-3}
    main(comparison.seeded(comparison.parser(__doc__, **defaults).parse_args()))
