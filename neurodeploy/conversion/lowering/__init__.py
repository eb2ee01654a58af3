"""From the source graph to the activation graph: what will spike, and its affine input."""
