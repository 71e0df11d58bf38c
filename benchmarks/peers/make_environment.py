"""Makes an environment in which TorchJD and a CPU build of PyTorch live, apart from this one.

python benchmarks/peers/make_environment.py                 # in .peers, which git ignores
python benchmarks/peers/make_environment.py --folder FOLDER
"""

import argparse
import subprocess
import venv
from pathlib import Path

# Versions that were measured; the extras bring the solvers that some strategies call.
TORCH, TORCHJD = "torch==2.13.0", "torchjd[full]==0.18.0"


def interpreter(folder):
    """Returns the path of the Python of the environment in a folder."""
    return Path(folder).resolve() / "torchjd" / "bin" / "python"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", default=".peers")
    python = interpreter(parser.parse_args().folder)
    venv.create(python.parents[1], with_pip=True)
    for packages in ([TORCH], [TORCH, TORCHJD]):  # the second may not change the first
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *packages], check=True)
    print(f"{TORCH} and {TORCHJD} are in {python.parents[1]}")


if __name__ == "__main__":
    main()
