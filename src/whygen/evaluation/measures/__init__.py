"""Measures of an explanation, one family a file. Those in `fidelity`, `accuracy` and `chance_test` make no call."""
