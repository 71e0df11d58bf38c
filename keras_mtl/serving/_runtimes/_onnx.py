"""ONNX Runtime."""

from collections.abc import Mapping, Sequence

from keras_mtl.export._beside._refused import RefusedVersion
from keras_mtl.serving._contract import Contract
from keras_mtl.serving._runtimes._runtime import Array, filler

_DTYPES = {"tensor(float)": "float32", "tensor(double)": "float64", "tensor(float16)": "float16"}
"""ONNX's names of types that are not the name of the dtype in brackets."""


class OnnxRuntime:
    """Runs a model.onnx on the processor, without TensorFlow.

    Args:
        content: The bytes of the file.
        contract: What the version takes and answers.
        threads: Threads for one batch.

    Raises:
        RefusedVersion: If the file cannot be loaded, or does not fit the contract.
    """

    def __init__(self, content: bytes, contract: Contract, threads: int = 1) -> None:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        # Threads that spin while they wait would take the processor from the server itself.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 4
        try:
            self._session = ort.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # Its errors have no common base class.
            reason = str(error).splitlines()[0][:300]
            raise RefusedVersion(f"ONNX Runtime cannot load model.onnx: {reason}") from error
        self._columns = contract.columns
        self._check(contract)
        self._names = [node.name for node in self._session.get_inputs()]

    def run(self, columns: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
        """Returns outputs of some rows; columns that are missing are filled."""
        rows = len(next(iter(columns.values())))
        feed = {
            name: columns[name] if name in columns else self._fill(name, rows)
            for name in self._names
        }
        return dict(zip(outputs, self._session.run(list(outputs), feed), strict=True))

    def _fill(self, name: str, rows: int) -> Array:
        column = self._columns[name]
        return filler(column.dtype, column.shape, rows)

    def _check(self, contract: Contract) -> None:
        """Checks that the graph takes columns of the contract and has its outputs."""
        for node in self._session.get_inputs():
            column = contract.columns.get(node.name)
            if column is None:
                raise RefusedVersion(
                    f"model.onnx takes {node.name!r}, which outputs.json does not name."
                )
            dtype = _DTYPES.get(node.type, node.type.removeprefix("tensor(").removesuffix(")"))
            if dtype != column.dtype:
                raise RefusedVersion(
                    f"model.onnx takes {node.name!r} as {dtype}, outputs.json says {column.dtype}."
                )
        missing = {*contract.outputs} - {node.name for node in self._session.get_outputs()}
        if missing:
            raise RefusedVersion(f"model.onnx has no output {min(missing)!r}.")
