"""Where a converted network loses its accuracy: layer by layer, and by cause."""
