"""PyTorch modules and exported programs as source graphs."""
