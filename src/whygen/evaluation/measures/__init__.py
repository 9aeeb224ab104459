"""One file a metric. Each knows how many calls it needs, and gives rows of an `Evaluation`."""
