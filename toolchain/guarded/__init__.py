"""Reads files that anybody may have written: nothing in them runs, nothing blocks, memory stays bounded, and
what is wrong is one sentence with the name of the file.

:mod:`~spikec.guarded.files`: regular files and their bytes; :mod:`~spikec.guarded.documents`: JSON and TOML;
:mod:`~spikec.guarded.archives`: zip archives; :mod:`~spikec.guarded.arrays`: NumPy archives;
:mod:`~spikec.guarded.pickles`: pickles; :mod:`~spikec.guarded.torch_files`: what ``torch.save`` writes.
"""

from spikec.guarded.documents import parse_json, parse_toml, read_json, read_toml_file
from spikec.guarded.files import file_digest, open_regular, read_bytes, read_text, reading, regular_file

__all__ = [
    "file_digest",
    "open_regular",
    "parse_json",
    "parse_toml",
    "read_bytes",
    "read_json",
    "read_text",
    "read_toml_file",
    "reading",
    "regular_file",
]
