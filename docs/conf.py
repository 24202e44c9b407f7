"""The site: these pages, and a reference made from the docstrings. `make docs` builds it; nothing is fetched."""

import inspect
import os
import re
import shutil
from pathlib import Path
from typing import Any

import triton  # noqa: F401  # loaded after TensorFlow's copy of LLVM, it would bring the process down
from docutils.nodes import SkipNode, container, literal_block
from docutils.utils.math import latex2mathml
from sphinx.util.inspect import stringify_signature

os.environ["KERAS_BACKEND"] = "jax"  # Keras takes one, and documents its layers alike on each

DOCS = Path(__file__).parent
PLAYGROUND = DOCS / "playground"  # a page of its own, which Sphinx copies and does not read

project = "dropblock-core"
author = "The dropblock-core authors"
project_copyright = f"{author}. Apache-2.0"
html_title = "dropblock-core"
language = "en"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "matplotlib.sphinxext.plot_directive"]
exclude_patterns = ["playground", "examples"]

myst_enable_extensions = ["colon_fence", "dollarmath", "substitution"]
myst_heading_anchors = 3  # as GitHub names them, where these pages are read as well
LINK = '<a href="playground/index.html">Playground</a>: move keep_prob and block_size, and see what is dropped.'
myst_substitutions = {"playground": LINK if PLAYGROUND.exists() else ""}

autodoc_mock_imports = ["lightning", "mmengine", "transformers"]  # for base classes only
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
maximum_signature_line_length = 100  # a longer one has a line for each argument
default_role = "code"  # a docstring's `argument`
napoleon_numpy_docstring = False
napoleon_use_param = False  # for "keep_prob, block_size: as in ..."
napoleon_use_ivar = True
napoleon_custom_sections = [("Call arguments", "params_style"), "Shape", "Input shape", "Output shape"]

# Without a network the frameworks' own names lead nowhere.
THEIRS = "equinox eqx flax jax keras matplotlib nn nnx np npt numpy pytest tensorflow tf torch collections enum typing"
nitpick_ignore_regex = [
    ("py:.*", rf"({'|'.join(THEIRS.split())})\..*"),
    ("py:.*", r"Any|Array|Callable|Iterable|Ndarray|Path|Self|Sequence|Tensor"),
]

# The gallery's pictures, each under the lines that draw it.
plot_include_source, plot_html_show_source_link, plot_html_show_formats = True, False, False
plot_formats = ["svg"]
plot_pre_code = ""  # the lines import what they use
# Letters as letters, which the browser draws: a picture is a third as large.
plot_rcparams = {"figure.constrained_layout.use": True, "svg.fonttype": "none", "svg.hashsalt": "dropblock"}

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = [("menus.js", {"defer": "defer"})]
html_copy_source = False
html_show_sphinx = False
# Each colour stands out from the ground, as WCAG asks; the first came with the theme.
pygments_style, pygments_dark_style = "a11y-light", "monokai"

# Links that lead out of this folder on GitHub, and where they lead here.
OUTSIDE = {
    "../README.md": "index.md",
    "../SECURITY.md": "security.md",
    "SECURITY.md": "security.md",
    "../dropblock_core/stream.py": "paper.md#the-stream",
}


# A link that MyST would take for one to a file, and copy that file alone.
TO_PLAYGROUND = re.compile(r"\[([^\]]+)\]\((?:docs/)?(playground/index\.html)\)")


def lead_inside(text: str) -> str:
    for outside, inside in OUTSIDE.items():
        text = text.replace(f"]({outside})", f"]({inside})")
    return TO_PLAYGROUND.sub(r'<a href="\2">\1</a>', text)


def read_page(app: Any, page: str, source: list[str]) -> None:
    source[0] = lead_inside(source[0])
    if page == "spec":  # so that other pages can link a rule
        source[0] = re.sub(r"^\*\*R(\d+) ", r"(r\1)=\n\g<0>", source[0], flags=re.MULTILINE)


def read_included(app: Any, path: Path, parent: str, content: list[str]) -> None:
    content[0] = lead_inside(content[0])


def write_signature(
    app: Any, what: str, name: str, thing: Any, options: Any, signature: str | None, returned: str | None
) -> tuple[str | None, str | None]:
    """As a reader would write it."""
    # Before a layer's `__init__` comes `LooksAtPosition.__new__`, which takes anything.
    if what == "class" and any("__init__" in vars(kind) for kind in (thing, thing.__base__)):
        given = inspect.signature(thing.__init__)
        _, *parameters = given.parameters.values()
        own = given.replace(parameters=parameters, return_annotation=inspect.Signature.empty)
        signature = stringify_signature(own, unqualified_typehints=True)
    return shortened(signature), shortened(returned)


NDARRAY = re.compile(r"(~?)numpy\.ndarray\[tuple\[~?typing\.Any, \.\.\.\], (~?numpy\.dtype)\[(~?[\w.]+)\]\]")


def shortened(text: str | None) -> str | None:
    """NumPy's arrays by their short name, and `...` for a default that has no name."""
    return text and re.sub(r"<.*?>", "...", NDARRAY.sub(r"\1numpy.typing.NDArray[\3]", text))


# As MathML, which browsers draw by themselves: MathJax and its fonts would be most of the site.
def write_inline(translator: Any, node: Any) -> None:
    translator.body.append(latex2mathml.tex2mathml(node.astext()))
    raise SkipNode


def write_block(translator: Any, node: Any) -> None:
    translator.body.append(latex2mathml.tex2mathml(node.astext(), as_block=True))
    raise SkipNode


html_math_renderer = "mathml"


def copy_playground(app: Any, error: Exception | None) -> None:
    """As a folder: `html_extra_path` would pour what it holds over the site. Its links to these pages follow them."""
    if error is None and PLAYGROUND.exists():
        copy = shutil.copytree(PLAYGROUND, Path(app.outdir, "playground"), dirs_exist_ok=True)
        for page in copy.glob("*.html"):
            page.write_text(re.sub(r'(href="\.\./[\w/-]+)\.md\b', r"\1.html", page.read_text()))


def span_lines(app: Any, tree: Any) -> None:
    """On the paper's page a line of code is an element, so that the style sheet can indent what wraps."""
    boxes = (box for box in tree.findall(container) if "beside" in box["classes"])
    for number, code in enumerate(code for box in boxes for code in box.findall(literal_block)):
        code["highlight_args"] = {"linespans": f"code{number}"}


# What keyboards and screen readers miss in the pages of Sphinx and Furo; tests/docs/test_site_pages.py asks axe.
MENDED = {
    r'(<p class="caption" role="heading")>': r'\1 aria-level="2">',
    r'<aside (class="sidebar-drawer)': r'<aside aria-label="Pages" \1',
    r'<aside (class="toc-drawer)': r'<aside aria-label="On this page" \1',
    r'(<div id="search-results">)': r"<h1>Search</h1>\n\1",
    # What is too wide is scrolled by the arrow keys.
    r'<(pre(?=>)|div (?=class="table-wrapper)|math (?=[^>]*display="block"))': r'<\1 tabindex="0" ',
    r"<dl>(\n(?:<dd>.*</dd>\n)+)</dl>": r'<div class="parameters">\1</div>',  # values of no term
    r"<dd>(<em class=\"sig-param\">.*)</dd>": r"<div>\1</div>",
}


def mend_pages(app: Any, error: Exception | None) -> None:
    if error is None:
        for path in Path(app.outdir).rglob("*.html"):
            page = path.read_text()
            for lacking, mended in MENDED.items():
                page = re.sub(lacking, mended, page)
            path.write_text(page)


def setup(app: Any) -> None:
    app.connect("source-read", read_page)
    app.connect("include-read", read_included)
    app.connect("autodoc-process-signature", write_signature)
    app.connect("doctree-read", span_lines)
    app.connect("build-finished", mend_pages)
    app.connect("build-finished", copy_playground)
    app.add_html_math_renderer("mathml", (write_inline, None), (write_block, None))
