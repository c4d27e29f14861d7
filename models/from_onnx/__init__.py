"""Networks in ONNX files, as PyTorch modules with the names of the ONNX nodes, compared with ONNX's own meaning."""

from spikec.models.from_onnx.file import onnx_files
from spikec.models.from_onnx.reading import read_onnx

__all__ = ["onnx_files", "read_onnx"]
