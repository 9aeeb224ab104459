"""Sphinx configuration."""

import whygen

project = "whygen"
author = "The whygen developers"
release = whygen.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "whygen"
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
autodoc_typehints = "description"
default_role = "py:obj"
autodoc_member_order = "bysource"
suppress_warnings = ["misc.highlighting_failure"]
