"""Runs a small study in the folder that the command line names: a program to be killed."""

import sys

from small_study import run, shared

from keras_mtl import studies


def main() -> None:
    """Runs the study, with as many workers as the second argument says."""
    run(
        {"searched": studies.searched(shared)},
        budget=studies.Budget(trials=2, epochs=2, seeds=2),
        directory=sys.argv[1],
        workers=int(sys.argv[2]),
        verbose=True,
    )
    print("finished", flush=True)


if __name__ == "__main__":
    main()
