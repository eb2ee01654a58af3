"""What becomes of networks by others: the test suite of onnx, and files from wheels of PyPI."""
