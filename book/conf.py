"""How Sphinx makes the book out of the pages that make_book.py lays out; nothing is executed."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import make_book  # noqa: E402

project = "How do neural networks make sound?"
html_title = project
language = "en"

extensions = ["myst_nb", "sphinx.ext.mathjax"]
nb_execution_mode = "off"
myst_enable_extensions = ["amsmath", "dollarmath"]
myst_heading_anchors = 3
smartquotes = False  # primes and quotes mean something in a table of symbols
highlight_language = "none"  # of what does not say what it is; cells are Python

html_theme = "furo"
html_static_path = [str(HERE / "_static"), str(make_book.mathjax())]
html_css_files = ["book.css"]
html_js_files = ["book.js"]
html_theme_options = {
    "footer_icons": [
        {"name": "Repository", "url": make_book.repository(), "html": "Repository", "class": ""}
    ],
}
pygments_style = "a11y-light"
pygments_dark_style = "a11y-dark"

mathjax_path = make_book.MATHJAX
# The menu, and nothing else, would ask for further files of MathJax.
mathjax3_config = {"options": {"enableMenu": False}}

# The search page would fetch every page it found for its summary, which a browser refuses to do
# for files. And what nobody reads, or what changes from build to build, stays out.
html_show_search_summary = False
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_use_index = False


def setup(app):
    """Let make_book have a last look at every page."""
    app.connect("doctree-read", make_book.finish)
