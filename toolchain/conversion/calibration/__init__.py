"""Calibration on images without labels and without backpropagation: thresholds, shifts, scales, weights."""
