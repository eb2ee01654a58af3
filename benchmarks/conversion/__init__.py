"""Method x T on trained networks, beside SpikingJelly and sinabs."""
