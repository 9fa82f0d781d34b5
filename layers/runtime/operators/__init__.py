"""The encoder's own operators for ONNX Runtime, compiled by build.py into the file that LIBRARY names."""

from pathlib import Path

LIBRARY = Path(__file__).with_name("operators.so")
