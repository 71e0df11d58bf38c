"""Serves a version with BentoML. In an environment of its own, without TensorFlow:

pip install bentoml onnx onnxruntime && pip install --no-deps keras_mtl
VERSION=saved_models/census/1 bentoml serve bentoml_service:Version --port 3000

`POST /predict` takes `{"columns": {"age": [[39.0]], ...}, "task": "income"}`, and
`POST /predict_rows` takes `{"rows": [{"age": [39.0], ...}], "task": "income"}`; without a task, all
are answered.
"""

import contextlib
import os
from typing import Any

import bentoml
from bentoml.exceptions import BadInput, BentoMLException

from keras_mtl.serving import Predictor, Refusal


@contextlib.contextmanager
def refusals():
    """Turns refusals into BentoML's errors: others are answered without their sentence."""
    try:
        yield
    except Refusal as refusal:
        kind = BadInput if refusal.status < 500 else BentoMLException
        raise kind(refusal.sentence) from None


# Values are checked by the predictor. Narrower types would make BentoML convert some of them, and
# write others into its log.
@bentoml.service(name="version")
class Version:
    """Answers requests from the version folder that the variable VERSION names."""

    def __init__(self) -> None:
        self.predictor = Predictor(os.environ["VERSION"])

    @bentoml.api
    def predict(self, columns: Any = None, task: Any = None) -> dict[str, Any]:
        """Returns the predictions for some columns, by output."""
        with refusals():
            outputs = self.predictor.predict(columns, task)
        return {name: values.tolist() for name, values in outputs.items()}

    @bentoml.api
    def predict_rows(self, rows: Any = None, task: Any = None) -> list[dict[str, Any]]:
        """Returns the predictions for each row."""
        with refusals():
            return self.predictor.predict_rows(rows, task)
