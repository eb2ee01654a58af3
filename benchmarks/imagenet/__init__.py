"""Networks of ImageNet's size: what converting, quantizing, running and mapping them takes."""
