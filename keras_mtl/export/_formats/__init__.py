"""Other formats of an export: conversion, proof and placing.

- `_served`: the SavedModel of a version folder, with its inputs, tasks and answers
- `_request`: rows of a request, drawn or recorded
- `_proof`: the comparison of an artifact with its SavedModel
- `_graph`: nodes of a frozen graph, and paths from them to inputs
- `_differences`: how far the answers of two artifacts differ, and whether that is too much
- `_extras`: imports of optional packages, with an error that says how to install them
- `_quantized`: networks that Keras has quantized, which no other format holds
- `_lookup_tables`: the keys of lookup tables
- `_to_onnx`, `_onnx_operations`, `_onnx_check`: conversion to ONNX, operations that tf2onnx lacks,
  what is left of TensorFlow
- `_to_litert`, `_single_precision`, `_run_litert`: conversion to LiteRT, without float64; answers
  of its signatures
- `_artifacts`, `_task_scores`, `_calibration`, `_turns`: networks and files, compared on data
- `_onnx_weights`, `_run_onnx`: 8-bit weights of an ONNX model, answers of ONNX Runtime
"""
