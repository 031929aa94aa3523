"""Data sets: official layouts in, normalised arrays out."""

from compactnet.data.dataset import Dataset, Split

__all__ = ["Dataset", "Split"]
