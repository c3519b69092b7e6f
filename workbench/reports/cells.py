"""An executed notebook's cells as the parts of a page: prose, folded code, and what the code showed.

Code without a visible result is gathered and folded in front of the next part, so that a page reads as a report.
Raw HTML is taken from prose and HTML outputs alone, which are the notebooks' own; the page's policy runs no script
but its own. Everything else is escaped.
"""

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from workbench.imports import IRI_GRAMMAR, without
from workbench.plots.render import NARROW_MIME, SVG_MIME
from workbench.reports.failure import without_colours

_LEFT_OUT = {"papermill-error-cell-tag", "lab"}
"""Cells of a notebook that a page is without: papermill's about an error, and what is for JupyterLab only."""
_HEADING = re.compile(r"<h([1-6])>(.*?)</h\1>", re.DOTALL)
_PICTURES = ("image/png", "image/jpeg", "image/gif")


@dataclass
class Block:
    """One part of a page; `kind` names it where it has to be left out for its size."""

    kind: str
    html: str

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.html.encode())


@dataclass(frozen=True)
class Heading:
    """An entry of the page's table of contents."""

    level: int
    text: str
    anchor: str


@dataclass
class Parts:
    """What a page is made of."""

    heading: str = ""
    blocks: list[Block] = field(default_factory=list)
    toc: list[Heading] = field(default_factory=list)


def parts(cells: Sequence[Mapping[str, Any]]) -> Parts:
    """All cells of a notebook; the first heading of level 1 becomes the page's own."""
    found, code = Parts(), list[str]()
    for cell in cells:
        source = "".join(cell["source"])
        if _LEFT_OUT & set(cell.get("metadata", {}).get("tags", [])) or not source.strip():
            continue
        if cell["cell_type"] == "markdown":
            _fold(code, found)
            found.blocks.append(Block("text", _prose(source, found)))
        elif cell["cell_type"] == "code":
            code.append(source)
            outputs = list(_outputs(cell.get("outputs", [])))
            if outputs:
                _fold(code, found)
                found.blocks.extend(outputs)
    _fold(code, found)
    return found


def _fold(code: list[str], found: Parts) -> None:
    if code:
        text = "\n\n".join(_highlighted(source) for source in code)
        found.blocks.append(Block("code", f'<details class="code"><summary>Code</summary>{text}</details>'))
        code.clear()


def _prose(source: str, found: Parts) -> str:
    def anchored(match: re.Match[str]) -> str:
        level, inner = int(match[1]), match[2]
        text = html.unescape(re.sub(r"<[^>]+>", "", inner)).strip()
        if level == 1 and not found.heading and not found.toc:
            found.heading = text
            return ""
        slug = re.sub(r"[^\w]+", "-", text.casefold()).strip("-") or "part"
        taken = {entry.anchor for entry in found.toc}
        anchor = slug if slug not in taken else f"{slug}-{len(taken)}"
        if level <= 3:
            found.toc.append(Heading(max(level, 2), text, anchor))
        return f'<h{max(level, 2)} id="{html.escape(anchor)}">{inner}</h{max(level, 2)}>'

    return f'<div class="prose">{_boxed(_HEADING.sub(anchored, markdown(source)))}</div>'


def _boxed(text: str) -> str:
    """Tables of prose scroll in a box of their own, as the others do."""
    return text.replace("<table>", '<div class="wb-scroll" tabindex="0"><table>').replace("</table>", "</table></div>")


def markdown(source: str, *, trusted: bool = True) -> str:
    """Markdown as HTML, by the parser that nbconvert uses; without `trusted`, raw HTML in it is shown as text."""
    filters = _filters()
    renderer = filters.IPythonRenderer(escape=not trusted, allow_harmful_protocols=False, exclude_anchor_links=True)
    rendered: str = filters.MarkdownWithMath(renderer=renderer).render(source)
    return rendered


@cache
def _filters() -> Any:  # noqa: ANN401 (a module that has no types)
    with without(IRI_GRAMMAR):
        from nbconvert.filters import markdown_mistune
    return markdown_mistune


@cache
def _highlighter() -> Any:  # noqa: ANN401 (pygments has no types here)
    with without(IRI_GRAMMAR):
        from nbconvert.filters.highlight import Highlight2HTML
    return Highlight2HTML(pygments_lexer="ipython3")


def _highlighted(source: str) -> str:
    text: str = _highlighter()(source)
    return text


def _outputs(outputs: Sequence[Mapping[str, Any]]) -> Iterator[Block]:
    for output in outputs:
        if output["output_type"] == "stream":
            text = without_colours("".join(output["text"])).rstrip()
            if output["name"] == "stdout" and text:
                yield Block("text output", f'<pre class="plain">{html.escape(text)}</pre>')
        elif output["output_type"] == "error":
            yield Block("error", _error(output))
        else:
            data = {key: "".join(value) if isinstance(value, list) else value for key, value in output["data"].items()}
            block = _shown(data)
            if block.html:
                yield block


def _shown(data: Mapping[str, Any]) -> Block:
    """The richest form of an output that a page can hold without a network or a script."""
    text = str(data.get("text/plain", ""))
    if SVG_MIME in data:
        return Block("chart", _chart(str(data[SVG_MIME]), str(data.get(NARROW_MIME, "")), text))
    if "text/html" in data:
        return Block(
            "table", str(data["text/html"]).replace('<div class="wb-scroll">', '<div class="wb-scroll" tabindex="0">')
        )
    if "text/markdown" in data:
        return Block("text", f'<div class="prose">{_boxed(markdown(str(data["text/markdown"]), trusted=False))}</div>')
    for kind in _PICTURES:
        if kind in data:
            source = f"data:{kind};base64,{html.escape(''.join(str(data[kind]).split()))}"
            return Block("picture", f'<img class="picture" alt="{html.escape(text)}" src="{source}">')
    return Block(
        "text output", f'<pre class="plain">{html.escape(without_colours(text))}</pre>' if text.strip() else ""
    )


def _chart(wide: str, narrow: str, about: str) -> str:
    label = html.escape(about)
    inner = (
        f'<div class="wide">{_inline(wide)}</div><div class="narrow">{_inline(narrow)}</div>'
        if narrow
        else _inline(wide)
    )
    return f'<figure class="chart" role="group" aria-label="{label}">{inner}</figure>'


def _inline(svg: str) -> str:
    """An SVG document without its prolog, to stand inside HTML."""
    return svg[max(svg.find("<svg"), 0) :].strip()


def _error(output: Mapping[str, Any]) -> str:
    lines = [line for part in output.get("traceback", []) for line in without_colours(part).splitlines()]
    tail = "\n".join(lines[-15:])
    message = html.escape(without_colours(f"{output['ename']}: {output['evalue']}"))
    where = f"<details><summary>Where</summary><pre>{html.escape(tail)}</pre></details>"
    return f'<div class="error"><strong>{message}</strong>{where}</div>'
