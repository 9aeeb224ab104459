"""Texts as anchors of a language model: which it knows by heart, whose kind it knows, which it invents.

That a text was memorised is a contrast, never a level (`contrasts`): the same text against twins in which numbers and
names are exchanged (`twins`), against a model that has not seen it, or against held-out texts of its kind. `loading`
reads texts, `scoring` asks for log-probabilities through recorded calls, `criteria` makes numbers of them, `reading`
groups, and `explain` is the line that runs through it.
"""
