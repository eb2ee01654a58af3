"""Fan-in beyond a core: exactly, as bursts in many ticks a step, or approximately, as rates."""
