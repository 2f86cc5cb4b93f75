"""Risk models as ONNX graphs: their manifest, their store, scores and explanations."""
