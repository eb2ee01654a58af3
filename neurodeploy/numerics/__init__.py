"""How PyTorch and threads are used, so that results depend on neither."""
