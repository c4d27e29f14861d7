"""The version of the package; setup.py and CITATION.cff follow it."""

__version__ = "0.2.0"
