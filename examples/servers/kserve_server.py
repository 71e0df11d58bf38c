"""Serves a version with KServe's Python server. In an environment of its own, without TensorFlow:

pip install kserve onnx onnxruntime && pip install --no-deps keras_mtl
python kserve_server.py --model_name census --model_dir saved_models/census/1 --http_port 8080

It answers `POST /v1/models/census:predict` (`instances` or `inputs`, and a task as
`signature_name`) and `POST /v2/models/census/infer` (a task among the `outputs`), so
`keras_mtl.serving.Client` works with both. In a cluster, KServe mounts the version as
`/mnt/models`; give that as `--model_dir`.
"""

import argparse
import math
import uuid

import kserve
import numpy as np
from kserve.errors import InferenceError, InvalidInput

from keras_mtl.serving import Predictor, Refusal


class Version(kserve.Model):
    """Answers requests of both protocols from a version folder."""

    def __init__(self, name, folder):
        super().__init__(name)
        # Raises RefusedVersion, and the server does not start, if the version is not whole.
        self.predictor = Predictor(folder)
        self.ready = True

    def predict(self, payload, headers=None, response_headers=None):
        try:
            if isinstance(payload, kserve.InferRequest):
                return self.answer_v2(payload)
            return self.answer_v1(payload)
        except Refusal as refusal:
            # Any other ValueError would be answered with status 500.
            kind = InvalidInput if refusal.status < 500 else InferenceError
            raise kind(refusal.sentence) from None

    def answer_v1(self, payload):
        if not isinstance(payload, dict) or ("instances" in payload) == ("inputs" in payload):
            raise InvalidInput("the body must have 'instances' (a list of rows) or 'inputs'.")
        task = payload.get("signature_name", "serving_default")
        task = None if task == "serving_default" else task
        if "instances" in payload:
            return {"predictions": self.predictor.predict_rows(payload["instances"], task)}
        outputs = self.predictor.predict(payload["inputs"], task)
        return {"outputs": {name: values.tolist() for name, values in outputs.items()}}

    def answer_v2(self, request):
        columns = {tensor.name: read(tensor) for tensor in request.inputs}
        if len(columns) < len(request.inputs):
            raise InvalidInput("a column must not be sent twice.")
        asked = [output.name for output in request.request_outputs or []]
        task = asked[0] if len(asked) == 1 and asked[0] in self.predictor.tasks else None
        outputs = self.predictor.predict(columns, task)
        if unknown := {*asked} - {*outputs}:
            raise InvalidInput(f"there is no output {min(unknown)!r}.")
        answers = [
            kserve.InferOutput(
                name,
                list(outputs[name].shape),
                DATATYPES[outputs[name].dtype.name],
                outputs[name].ravel().tolist(),
            )
            for name in asked or outputs
        ]
        return kserve.InferResponse(request.id or str(uuid.uuid4()), self.name, answers)


DATATYPES = {"float16": "FP16", "float32": "FP32", "float64": "FP64", "int32": "INT32"}


def read(tensor):
    """Returns a column; entries of JSON keep their types, so that none is converted silently."""
    if not isinstance(tensor.data, list):
        return tensor.as_numpy()
    entries = np.array(tensor.data, object)
    if min(tensor.shape, default=0) < 0 or entries.size != math.prod(tensor.shape):
        raise InvalidInput(f"the data of column {tensor.name!r} does not fit its shape.")
    return entries.reshape(tensor.shape)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(parents=[kserve.model_server.parser])
    parser.add_argument("--model_dir", required=True)
    arguments = parser.parse_args()
    version = Version(arguments.model_name, arguments.model_dir)
    kserve.ModelServer(enable_grpc=False).start([version])
