"""What MkDocs is told beside mkdocs.yml: pages that are made from the code, so that they cannot go stale.

- reference/command-line.md comes from the parser of the `minidl` command;
- formulas in notebooks become MathML, which browsers draw without a script;
- atlas/ is the layer atlas, built anew;
- a link to a file outside docs/, such as ../minidl/ops/tiles.cuh, leads to a page that shows this file;
- mkdocstrings reads the packages where they are installed: models/ and data/ inside minidl/.
"""

import re
import shutil
import sys
import tempfile
from html import unescape
from pathlib import Path
from typing import Any

from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files, InclusionLevel

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
LINK = re.compile(r"\]\((?P<target>(?:\.\./)+[^)#\s]+)(?P<anchor>#[^)]*)?\)")
CODE = re.compile(r"(<(?:pre|code|script|style)\b.*?</(?:pre|code|script|style)>)", re.DOTALL)
DISPLAYED, INLINE = re.compile(r"\$\$(.+?)\$\$", re.DOTALL), re.compile(r"\$([^$\n]+?)\$")
LANGUAGES = {".py": "python", ".cu": "cuda", ".cuh": "cuda", ".toml": "toml", ".sh": "sh"}

_packages = Path(tempfile.mkdtemp(prefix="minidl-packages-"))


@event_priority(100)  # before mkdocstrings looks at its own configuration
def on_config(config: Any) -> None:
    """Lay out the packages as they are installed."""
    sys.path.insert(0, str(Path(__file__).parent))
    package = _packages / "minidl"
    if not package.exists():
        package.mkdir()
        for path in (ROOT / "minidl").iterdir():
            (package / path.name).symlink_to(path)
        for name in ("models", "data"):
            (package / name).symlink_to(ROOT / name)
    config.plugins["mkdocstrings"].config.handlers["python"]["paths"] = [str(_packages)]


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that nobody wrote."""
    from command_line import command_line_page

    from minidl.explain.atlas.atlas import atlas_pages

    files.append(File.generated(config, "reference/command-line.md", content=command_line_page()))
    for name, page in atlas_pages():
        files.append(File.generated(config, f"atlas/{name}", content=page.html()))
    sources = {source for file in files.documentation_pages() for _, source in _sources_linked_in(file)}
    for source in sorted(sources):
        page = File.generated(config, _page_of(source), content=_shown(source))
        page.inclusion = InclusionLevel.NOT_IN_NAV
        files.append(page)
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Turn links to files outside docs/ into links to the pages that show them."""
    for link, source in _sources_linked_in(page.file, markdown):
        up = "../" * page.file.src_uri.count("/")
        markdown = markdown.replace(link, f"]({up}{_page_of(source)}{LINK.fullmatch(link)['anchor'] or ''})")
    return markdown


def on_page_content(html: str, page: Any, config: Any, files: Files) -> str:
    """Turn the LaTeX of a notebook into MathML, everywhere but in code."""
    from minidl.explain.markup import formula

    if not page.file.src_uri.endswith(".ipynb"):
        return html
    parts = CODE.split(html)  # text and code in turn
    for k in range(0, len(parts), 2):
        parts[k] = DISPLAYED.sub(lambda found: formula(unescape(found[1]), display=True), parts[k])
        parts[k] = INLINE.sub(lambda found: formula(unescape(found[1])), parts[k])
    return "".join(parts)


def on_shutdown() -> None:
    """Nothing is left behind."""
    shutil.rmtree(_packages, ignore_errors=True)


def _sources_linked_in(file: File, markdown: str | None = None) -> list[tuple[str, Path]]:
    """Each link of a page that leaves docs/, with the file it leads to, from the root on."""
    if markdown is None:
        markdown = file.content_string
    found = []
    for link in LINK.finditer(markdown):
        target = (DOCS / file.src_uri).parent.joinpath(link["target"]).resolve()
        if target.is_relative_to(ROOT) and not target.is_relative_to(DOCS) and target.is_file():
            found.append((link[0], target.relative_to(ROOT)))
    return found


def _page_of(source: Path) -> str:
    return f"source/{source.as_posix()}.md"


def _shown(source: Path) -> str:
    text = (ROOT / source).read_text(encoding="utf-8")
    language = LANGUAGES.get(source.suffix, "text")
    return f"# {source.name}\n\n`{source.as_posix()}`\n\n````{language}\n{text}````\n"
