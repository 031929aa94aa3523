"""Complexity of models, and the arithmetic behind the paper's complexity columns."""

from compactnet.measure.conventions import PUBLISHED_CONVENTION, published_mflops
from compactnet.networks.complexity import CONVENTION, Complexity, LayerComplexity, complexity

__all__ = [
    "CONVENTION",
    "PUBLISHED_CONVENTION",
    "Complexity",
    "LayerComplexity",
    "complexity",
    "published_mflops",
]
