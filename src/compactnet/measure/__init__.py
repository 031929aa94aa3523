"""Complexity of models, and the arithmetic behind the paper's complexity columns."""

from compactnet.measure.complexity import CONVENTION, Complexity, LayerComplexity, complexity

__all__ = ["CONVENTION", "Complexity", "LayerComplexity", "complexity"]
