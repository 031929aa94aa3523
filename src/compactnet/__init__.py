"""Compact convolutions and the experiments of "Channel Compression" (Liang, Zhang, Feng, IEEE Access 2020)."""

__version__ = "0.1.0"
