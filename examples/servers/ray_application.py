"""Serves a version with Ray Serve. In an environment of its own, without TensorFlow:

pip install "ray[serve]" onnx onnxruntime && pip install --no-deps keras_mtl
serve run ray_application:application folder=$PWD/saved_models/census/1

`POST http://127.0.0.1:8000/` takes `{"columns": {"age": [[39.0]], ...}, "task": "income"}` or
`{"rows": [{"age": [39.0], ...}], "task": "income"}`; without a task, all are answered.
"""

import json

from ray import serve
from starlette.requests import Request
from starlette.responses import JSONResponse

from keras_mtl.serving import Predictor, Refusal


@serve.deployment
class Version:
    """Answers requests from a version folder, which each replica loads for itself."""

    def __init__(self, folder):
        self.predictor = Predictor(folder)

    async def __call__(self, request: Request):
        try:
            return JSONResponse(self.answer(await request.body()))
        except Refusal as refusal:
            return JSONResponse({"error": refusal.sentence}, refusal.status)

    def answer(self, body):
        try:
            content = json.loads(body)
        except (ValueError, RecursionError):
            raise Refusal(400, "json", "the body is not JSON in UTF-8.") from None
        if not isinstance(content, dict) or ("rows" in content) == ("columns" in content):
            raise Refusal(400, "json", "the body must have 'columns' or 'rows'.")
        if "rows" in content:
            return self.predictor.predict_rows(content["rows"], content.get("task"))
        outputs = self.predictor.predict(content["columns"], content.get("task"))
        return {name: values.tolist() for name, values in outputs.items()}


def application(arguments):
    return Version.bind(arguments["folder"])
