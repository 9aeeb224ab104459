"""Evaluation: is an explanation any good? Experiments of the two papers, and comparisons of explanations."""

from whygen.evaluation.compare import Comparison as Comparison
from whygen.evaluation.compare import compare as compare
from whygen.evaluation.evaluate import evaluate as evaluate
from whygen.evaluation.measures.record import Evaluation as Evaluation
from whygen.evaluation.measures.record import Measure as Measure
from whygen.evaluation.rules import check as check
