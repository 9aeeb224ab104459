"""whygen explains generative AI from the outside: why this output, and what has this model learned."""

__version__ = "0.1.0"
