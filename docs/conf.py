"""Sphinx configuration."""

import typing

import whygen
from whygen.calls import RunOptions
from whygen.models import ModelOptions
from whygen.types import Settings

project = "whygen"
author = "The whygen developers"
release = whygen.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb"}
nb_execution_mode = "off"  # they were run; a test runs them again
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "whygen"
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
autodoc_typehints = "description"
default_role = "py:obj"
autodoc_member_order = "bysource"
suppress_warnings = ["misc.highlighting_failure"]

for _kind in (whygen.PromptOptions, whygen.AnchorOptions, RunOptions, ModelOptions, Settings):
    # Types as a reader knows them: what `Annotated` says besides is for the command line.
    _hints = typing.get_type_hints(_kind)
    for _each in (_kind.__init__, *_kind.__mro__[:-1]):
        _each.__annotations__ = {name: _hints.get(name, told) for name, told in _each.__annotations__.items()}
