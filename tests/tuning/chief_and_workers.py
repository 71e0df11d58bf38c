"""One process of a distributed search of Keras Tuner; its role is told by the environment.

It is run as `python chief_and_workers.py FOLDER`, and prints the result as JSON. Keras Tuner reads
`KERASTUNER_TUNER_ID` (`chief`, or any other name for a worker), `KERASTUNER_ORACLE_IP` and
`KERASTUNER_ORACLE_PORT`.
"""

import json
import sys

from small_search import search


def main(folder: str) -> None:
    """Searches with four trials in all, and prints them."""
    result = search(directory=folder, max_trials=4)
    trials = [[trial.number, trial.weights, trial.score] for trial in result.trials]
    print(json.dumps({"weights": result.weights, "trials": trials}))


if __name__ == "__main__":
    main(sys.argv[1])
