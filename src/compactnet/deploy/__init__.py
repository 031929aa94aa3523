"""From a trained network to a file on a device: fold, export and check it, and predict from the file alone.

The names below are imported when they are used: `load` runs where Keras is not installed.
"""

import importlib

_HOME = {
    "FORMS": "forms",
    "fold": "folding",
    "ExportReport": "exporting",
    "calibration_samples": "exporting",
    "export": "exporting",
    "AudioPreprocessing": "preprocessing",
    "ImagePreprocessing": "preprocessing",
    "DeployedModel": "loading",
    "load": "loading",
    "tied_kernel": "algebra",
    "untied_kernel": "algebra",
}

__all__ = sorted(_HOME)


def __getattr__(name):
    if name in _HOME:
        return getattr(importlib.import_module(f"compactnet.deploy.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return __all__
