"""Shared parameters against hierarchical ones, in the two senses of the word.

    python examples/06_shared_or_hierarchical.py --seeds 5      # two minutes on two cores

Three tasks of Palmer penguins, which ship with keras_mtl. In a hierarchy of levels, tasks end at
different depths of one body: species first, then sex, then the mass, which depends on both. In a
hierarchy of parameters, each task has weights of its own, tied to those of the other tasks: the
strength goes from separate networks (0) towards one (infinity).
"""

from helpers import comparison, penguins

from keras_mtl import architectures, data, datasets

BODY = (32, 16, 16)


def main(options):
    tasks = datasets.penguins_tasks()
    encoder, train, (x, y, w) = penguins.load(tasks, options)

    def run(build, **arguments):
        features = data.embed_columns(encoder, units=2)
        network = build(features, tasks, tower=(8,), **arguments)
        model = comparison.fit(network, tasks, train, options)
        return penguins.figures(model.predict(x, verbose=0), y, w)

    def tied(strength):
        return run(architectures.soft_sharing, body=BODY, strength=strength)

    levels = {"species": 0, "male": 1, "mass": 2}
    halves = [True, False, False]  # the first layer is everyone's, two are of one task
    variants = {
        "shared": lambda: run(architectures.hard_sharing, shared=BODY),
        "levels": lambda: run(architectures.hierarchical, body=BODY, levels=levels, shortcut=True),
        "shared below": lambda: run(architectures.partial_sharing, body=BODY, sharing=halves),
        "tied, strength .01": lambda: tied(0.01),
        "tied, strength .0001": lambda: tied(1e-4),
        "not tied": lambda: tied(0.0),
    }
    return comparison.table(variants, options)


if __name__ == "__main__":
    defaults = {"epochs": 100, "batch_size": 32, "learning_rate": 5e-3}
    main(comparison.seeded(comparison.parser(__doc__, **defaults).parse_args()))
