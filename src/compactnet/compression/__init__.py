"""Replaces the convolutions of an existing Keras model by compact convolutions."""

from compactnet.compression.replacing import compress
from compactnet.compression.report import CompressionReport, ReplacedLayer, SkippedLayer

__all__ = ["CompressionReport", "ReplacedLayer", "SkippedLayer", "compress"]
