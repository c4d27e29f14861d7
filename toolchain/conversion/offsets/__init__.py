"""Initial membranes from calibration images."""
