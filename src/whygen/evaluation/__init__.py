"""Evaluation: is an explanation any good? Experiments of the two papers, and comparisons of explanations."""

from whygen.evaluation.compare import Comparison as Comparison
from whygen.evaluation.compare import compare as compare
