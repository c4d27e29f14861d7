"""Conversion methods, one file each."""
