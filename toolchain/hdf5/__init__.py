"""Reads HDF5 files that nobody vouches for: in a process of its own, whose time, memory and files are limited.

:func:`spikec.hdf5.process.read` is the one way in. Nothing here needs torch, so the process starts fast.
"""
