"""The experiments of the papers that whygen grew from, and rating sheets: `whygen reproduce` and `whygen ratings`.

They come into the command line through the entry points of `whygen.commands`, as a plug-in's commands do.
"""
