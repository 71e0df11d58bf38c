"""What computes the outputs of a version: ONNX Runtime, or TensorFlow."""
