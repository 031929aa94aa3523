"""Compact convolutions and the experiments of "Channel Compression" (Liang, Zhang, Feng, IEEE Access 2020)."""

__version__ = "0.1.0"


def __getattr__(name):
    # Keras takes seconds to import, and most of the package does without `compress`.
    if name == "compress":
        from compactnet.compression import compress

        return compress
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
