"""Data sets: official layouts in, normalised arrays out; recordings as log-mel spectrograms."""

from compactnet.data.dataset import Dataset, Split
from compactnet.data.log_mel import EVENTS, SCENES, LogMelConfig, log_mel

__all__ = ["EVENTS", "SCENES", "Dataset", "LogMelConfig", "Split", "log_mel"]
