"""TensorFlow, for versions without a model.onnx."""

import pathlib
from collections.abc import Mapping, Sequence

from keras_mtl.export._beside._interface import ALL_TASKS
from keras_mtl.export._beside._refused import RefusedVersion
from keras_mtl.serving._contract import Contract
from keras_mtl.serving._runtimes._runtime import Array, BadRows, filler


class TensorFlowRuntime:
    """Runs a SavedModel, after an audit of its operations.

    Choose it for networks that ONNX cannot express, such as those that decode images or hash
    strings. Not for others: the process takes eight times the memory, a request eight times the
    processor, and TensorFlow needs seconds to start.

    Args:
        folder: The folder of the version, whose manifest has been verified.
        contract: What the version takes and answers.

    Raises:
        RefusedVersion: If TensorFlow is missing, an operation does more than compute, the model
            cannot be loaded, or does not fit the contract.
    """

    def __init__(self, folder: pathlib.Path, contract: Contract) -> None:
        try:
            import tensorflow as tf
        except ImportError as error:
            raise RefusedVersion(f"TensorFlow is not installed, which {folder} needs.") from error
        from keras_mtl.export._audit._audit import audit

        audit(folder).check()
        try:
            self._served = tf.saved_model.load(folder)
        except Exception as error:  # Its errors have no common base class.
            raise RefusedVersion(
                f"TensorFlow cannot load {folder} ({type(error).__name__})."
            ) from error
        self._constant, self._invalid = tf.constant, tf.errors.InvalidArgumentError
        self._contract = contract
        self._check()

    def run(self, columns: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
        """Returns outputs of some rows, by the signature that computes the least beside them."""
        rows = len(next(iter(columns.values())))
        signature = self._served.signatures[self._choose(outputs)]
        feed = {}
        for name, spec in signature.structured_input_signature[1].items():
            column = self._contract.columns[name]
            values = columns.get(name)
            if values is None:
                values = filler(column.dtype, column.shape, rows)
            feed[name] = self._constant(values, spec.dtype)
        try:
            answers = signature(**feed)
        except self._invalid as error:
            raise BadRows from error
        return {name: answers[name].numpy() for name in outputs}

    def _choose(self, outputs: Sequence[str]) -> str:
        """Returns the name of the signature with the fewest outputs that has all of some."""
        signatures = self._contract.signatures
        fitting = [name for name, s in signatures.items() if {*outputs} <= {*s.outputs}]
        return min(fitting, key=lambda name: (len(signatures[name].outputs), name != ALL_TASKS))

    def _check(self) -> None:
        """Checks that the model has the signatures, columns and outputs of the contract."""
        for name, stated in self._contract.signatures.items():
            signature = self._served.signatures.get(name)
            if signature is None:
                raise RefusedVersion(f"the SavedModel has no signature {name!r}.")
            takes = {*signature.structured_input_signature[1]}
            answers = {*signature.structured_outputs}
            if takes != {*stated.inputs} or answers != {*stated.outputs}:
                raise RefusedVersion(
                    f"signature {name!r} of the SavedModel is not that of outputs.json."
                )
