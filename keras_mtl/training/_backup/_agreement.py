"""What workers have to agree on before the first step."""

from collections.abc import Sequence
from pathlib import Path

from keras_mtl.training._backup._workers import Workers

NONE, WRONG = -1, -2


def check_agreement(
    workers: Workers, epoch: int, step: int, digest: bytes, folder: Path, files: str
) -> None:
    """Checks that all workers begin at the same place with the same weights.

    All workers have to call it, whatever they have read, so that none waits for another one.

    Args:
        workers: The workers.
        epoch: The epoch at which this one begins; `NONE` without a file, `WRONG` with one that it
            cannot use.
        step: The step in it.
        digest: 8 bytes of the weights and of what training stands on.
        folder: The folder of the backup.
        files: The name of its file.

    Raises:
        ValueError: If they differ.
    """
    rows = workers.gather([epoch, step, int.from_bytes(digest, "big", signed=True)])
    if len({tuple(row) for row in rows.tolist()}) == 1:
        return
    listed = "; ".join(f"worker {i}: {_described(row)}" for i, row in enumerate(rows.tolist()))
    raise ValueError(
        f"the workers would not begin with the same weights at the same place. {listed}. All of "
        f"them read the file {files} in {folder}, which the first worker writes: see that this is "
        "one shared folder, and that all workers have the same `description`."
    )


def _described(row: Sequence[int]) -> str:
    epoch, step, digest = row
    if epoch == NONE:
        return "no backup"
    if epoch == WRONG:
        return "a backup that it cannot use (see its own error)"
    name = int(digest).to_bytes(8, "big", signed=True).hex()
    return f"epoch {epoch + 1}, step {step}, weights {name}"
