"""Thresholds and corrections from calibration samples, on the spikes that really arrive."""
