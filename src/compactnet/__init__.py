"""Compact convolutions and the experiments of "Channel Compression" (Liang, Zhang, Feng, IEEE Access 2020)."""

import importlib
import pkgutil

__version__ = "0.1.0"


def __getattr__(name):
    # Keras takes seconds to import, and most of the package does without it.
    if name == "compress":
        from compactnet.compression import compress

        return compress
    if name in _submodules():
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted({"__version__", "compress", *_submodules()})


def _submodules():
    return {module.name for module in pkgutil.iter_modules(__path__)}
