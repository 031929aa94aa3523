"""Data sets: official layouts in, normalized arrays out; recordings as log-mel spectrograms."""

from compactnet.data.cifar10 import Cifar10
from compactnet.data.dataset import Dataset, Split
from compactnet.data.dcase2019 import Dcase2019
from compactnet.data.log_mel import EVENTS, SCENES, LogMelConfig, log_mel
from compactnet.data.section import AudioSection, DataSection, Fold
from compactnet.data.urbansound8k import UrbanSound8K, UrbanSound8KFold

__all__ = [
    "EVENTS",
    "SCENES",
    "AudioSection",
    "Cifar10",
    "DataSection",
    "Dataset",
    "Dcase2019",
    "Fold",
    "LogMelConfig",
    "Split",
    "UrbanSound8K",
    "UrbanSound8KFold",
    "log_mel",
]
