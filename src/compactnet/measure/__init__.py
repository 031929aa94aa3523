"""Complexity of models, and the arithmetic behind the paper's complexity columns."""

from compactnet.measure.complexity import CONVENTION, Complexity, LayerComplexity, complexity
from compactnet.measure.conventions import PUBLISHED_CONVENTION, published_mflops

__all__ = [
    "CONVENTION",
    "PUBLISHED_CONVENTION",
    "Complexity",
    "LayerComplexity",
    "complexity",
    "published_mflops",
]
