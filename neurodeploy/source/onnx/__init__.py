"""ONNX files as source graphs."""
