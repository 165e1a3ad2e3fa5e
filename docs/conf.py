"""Sphinx settings: Markdown pages, API pages from docstrings, no network."""

import importlib
import inspect
import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parent))
sys.path.insert(0, str(HERE.parent / "notebooks"))

import make  # noqa: E402
import public  # noqa: E402

import jetvae_jax  # noqa: E402

project = "jetvae_jax"
author = "the jetvae_jax developers"
copyright = author
version = release = jetvae_jax.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.doctest",
    "sphinx.ext.extlinks",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx-mathjax-offline",
]
exclude_patterns = ["_build", "_templates"]
templates_path = ["_templates"]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
highlight_language = "text"
nitpicky = True
# Types of other packages: links to them would need their inventories from the network.
nitpick_ignore_regex = [
    ("py:.*", r"(jax|jaxlib|numpy|np|optax|collections|typing|pathlib|types)\..*"),
    ("py:.*", r"(argparse|os|h5py|absl|matplotlib|contextlib|flax)\..*"),
    # Aliases and parts of annotations, which are no objects; values of a Literal.
    ("py:.*", r"'.*'|tuple\[.*"),
    ("py:.*", r"(Any|Array|ArrayImpl|Callable|Mapping|Path|PathLike|ndarray|optional)"),
    ("py:.*", r"Figure"),  # of Matplotlib, imported for annotations alone
]

extlinks = {"colab": (f"{make.COLAB}/%s.ipynb", "%s")}

autosummary_generate = True
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_display_short_literal_types = True
python_maximum_signature_line_length = 80
napoleon_use_ivar = True
napoleon_attr_annotations = False  # the signature has them
napoleon_use_rtype = False

doctest_global_setup = "import jax\nimport jax.numpy as jnp\nimport jetvae_jax as jv"

html_theme = "furo"
html_title = "jetvae_jax"
html_static_path = ["_static"]
html_css_files = ["wide.css"]
html_copy_source = False

ROLE = re.compile(r":(?:py:)?(?:func|class|mod|meth|attr|data):`([^`]*)`")
PAPER = r"`arXiv:\1 <https://arxiv.org/abs/\1>`__"
PUBLIC = public.names()
"""Where an object is defined to where it is documented."""


def resolved(target: str, scopes: list[str]) -> str | None:
    """The full name of what a docstring refers to; None if there is nothing.

    Args:
        target: ``fit``, ``.step.fit`` or ``jetvae_jax.training.fit``.
        scopes: modules and classes in which to look for it, the nearest first.
    """
    for scope in ["", *(f"{scope}." for scope in scopes)]:
        name = (scope + target.lstrip(".")).removesuffix("()")
        if name.startswith("jetvae_jax") and public.find(name) is not None:
            return name
    return None


def linked(app, what, name, obj, options, lines):
    """Roles of a docstring as links where their object has a page, else as code."""
    obj = obj.fget if isinstance(obj, property) else obj
    module = obj.__name__ if inspect.ismodule(obj) else getattr(obj, "__module__", "")
    module = module or name.rpartition(".")[0]
    scopes = [name, name.rpartition(".")[0], module, *parents(module)]
    if inspect.isclass(obj):
        scopes.insert(0, f"{module}.{obj.__qualname__}")
    elif "." in (qualname := getattr(obj, "__qualname__", "")):
        scopes.insert(0, f"{module}.{qualname.rpartition('.')[0]}")

    def link(match):
        target = match[1]
        titled = re.fullmatch(r"(.*) <(.*)>", target)
        target = (titled[2] if titled else target).lstrip("~")
        found = resolved(target, scopes)
        if found is None:
            return match[0]  # Sphinx warns of it
        own = PUBLIC.get(public.key(found), found if found in SHOWN else None)
        text = titled[1] if titled else target.rpartition(".")[2]
        return f":py:obj:`{text} <{own}>`" if own else f"``{text}``"

    text = "\n".join(lines)
    # A formula that is set apart by its indentation alone is code.
    text = re.sub(r"(?m)^(\S.*(?<!::))\n\n((?:    .*\n?)+)", formula, text)
    text = ROLE.sub(link, text)
    text = re.sub(r"(?m)^:raises (\w+):", lambda m: raised(m, scopes), text)
    # "`name`" is code in these docstrings.
    text = re.sub(r"(?<![`:\w])`([\w.]+)`(?![`_])", r"``\1``", text)
    text = re.sub(r"(?<![`/])arXiv:(\d{4}\.\d{4,5})", PAPER, text)
    # "L." alone would be the first item of a list.
    text = re.sub(r"(?m)^(\s*:\w+ [^:]+: )([A-Z]\.)$", r"\1\\\2", text)
    lines[:] = text.split("\n")


def plain(app, what, name, obj, options, signature, returned):
    """A signature without the limits of its fields and without the parts of Flax."""
    if not signature:
        return None
    text = re.sub(r", <function .*? at 0x[0-9a-f]+>", "", signature)
    annotated = r"~?(?:typing\.)?Annotated\[((?:[^][]|\[(?:[^][]|\[[^][]*\])*\])*)\]"
    while re.search(annotated, text):
        text = re.sub(annotated, r"\1", text)
    text = re.sub(r",? ?parent: .*_Sentinel.*", ")", text)
    return text, returned


def raised(match, scopes):
    """The exception of a "Raises" by its full name, where it is of this package."""
    found = resolved(match[1], scopes)
    own = PUBLIC.get(public.key(found), found) if found else None
    return f":raises ~{own}:" if own else match[0]


def write_notebooks(app):
    """Writes a page for each notebook, of its text and code; nothing is executed."""
    folder = HERE / "generated"
    folder.mkdir(exist_ok=True)
    for path in make.sources():
        (_, title), *rest = make.cells(path.read_text())
        file = f"/../notebooks/{path.stem}.ipynb"
        blocks = [
            title,
            f"{{colab}}`Open in Colab <{path.stem}>`, {{download}}`download <{file}>`",
        ]
        for kind, text in rest:
            blocks.append(text if kind == "markdown" else f"```python\n{text}\n```")
        page = "\n\n".join(blocks).replace(f"]({make.FILES}/docs/", "](../")
        (folder / f"{path.stem}.md").write_text(f"{page}\n")


def paged(app, docname, source):
    """Links to notebooks lead to their pages; a page on the web has no folder."""
    source[0] = re.sub(
        r"\]\(\S*notebooks/(\w+)\.ipynb\)", r"](/generated/\1.md)", source[0]
    )


def unbroken(app, docname, source):
    """A value stays beside its error, and a shape in one piece, in narrow columns."""

    def joined(match):
        return match[0].replace(" ", "\N{NO-BREAK SPACE}")

    source[0] = re.sub(r" ± |`\[[\w., ]+\]`", joined, source[0])


def formula(match):
    """An indented block after a paragraph, as a literal block."""
    before, block = match.groups()
    return f"{before}\n\n.. code-block:: text\n\n{block}"


def parents(module):
    """Packages of a module, the nearest first."""
    parts = module.split(".")
    return [".".join(parts[:i]) for i in range(len(parts) - 1, 0, -1)]


SHOWN = public.modules()
"""Modules that have pages, with all their members."""


def missing(app, env, node, contnode):
    """Annotations name objects by where they are defined: links to their pages."""
    target = node.get("reftarget", "")
    if not target.startswith("jetvae_jax."):
        return None
    if (own := PUBLIC.get(public.key(target), "")) and own != target:
        domain = env.get_domain("py")
        return domain.resolve_xref(
            env, node["refdoc"], app.builder, "obj", own, node, contnode
        )
    return contnode if public.find(target) is not None else None


def skipped(app, what, name, obj, skip, options):
    """Fields are described by the docstring of their class already."""
    if what == "class" and not callable(obj) and not isinstance(obj, property):
        return True
    return skip


def setup(app):
    """Connects the functions of this file."""
    app.connect("builder-inited", write_notebooks)
    app.connect("source-read", paged)
    app.connect("source-read", unbroken)
    app.connect("autodoc-process-docstring", linked)
    app.connect("autodoc-process-signature", plain)
    app.connect("autodoc-skip-member", skipped)
    app.connect("missing-reference", missing)
    importlib.invalidate_caches()
