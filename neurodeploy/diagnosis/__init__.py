"""Diagnosis of a conversion: its losses layer by layer, and by cause."""
