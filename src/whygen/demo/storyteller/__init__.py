"""The storyteller: a small language model that writes the story it is asked for, in ``model/``, with its card.

What it can tell, and the prompts whose causes are known, are those it was trained on: ``training/storyteller``.
"""
