"""How the pages are made: ``python -m sphinx -W -b html docs build/docs``."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

DOCS = Path(__file__).parent
ROOT = DOCS.parent
sys.path.insert(0, str(DOCS / "_extensions"))

_metadata = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
_version = (ROOT / "src/fastsoftmax/_version.py").read_text("utf-8")

project = _metadata["name"]
author = "the fastsoftmax developers"
copyright = author
release = version = re.findall(r'__version__ = "(.+)"', _version)[0]

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_copybutton",
    "function_links",
    "html_anchors",
    "mathml",
    "repository_links",
    "stand_ins",
    "two_schemes",
]
exclude_patterns = ["_extensions", "figures/*.json"]

# --- Markdown: what GitHub shows too ---------------------------------------------------------
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 4
myst_dmath_double_inline = True
# Names on the others may be those of a trainer's own functions.
function_pages = [
    "quickstart",
    "reference/options",
    "reference/settings",
    "tasks/boosting",
    "tasks/linear-heads",
    "tasks/loss-and-gradient",
    "tasks/probabilities",
    "tasks/reproducible-bits",
]
repository_url = _metadata.get("urls", {}).get("Repository", "")

# --- Docstrings ------------------------------------------------------------------------------
default_role = "py:obj"
autodoc_typehints = "none"  # numpydoc's sections say it in words
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autosummary_generate = False
numpydoc_show_class_members = False
# The adapters are documented wherever the pages are made, whether or not their libraries are there;
# stand_ins is for those that derive from the library's classes.
autodoc_mock_imports = ["dask", "jax", "lightgbm", "xgboost"]

# --- Looks -----------------------------------------------------------------------------------
html_theme = "furo"
html_title = f"fastsoftmax {version}"
html_static_path = ["_static"]
html_css_files = ["wide.css"]
html_theme_options = {"navigation_with_keys": True}
html_show_sphinx = False
html_copy_source = False
pygments_style = "tango"
pygments_dark_style = "github-dark"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
