"""The protocols over HTTP: TensorFlow Serving's REST and the Open Inference Protocol."""
