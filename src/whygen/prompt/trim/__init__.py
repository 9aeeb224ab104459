"""`trim`: the shortest prompt found that is not worse over many inputs, with an error rate that survives choosing."""

from whygen.prompt.trim.door import foresee_trim as foresee_trim
from whygen.prompt.trim.door import trim as trim
