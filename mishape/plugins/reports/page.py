"""Pieces of a self-contained HTML page; every text that comes from data is escaped here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

STYLE = """
:root { color-scheme: light dark; --ink: #181a20; --faint: #5a606c; --line: #d7dae0; --paper: #fff; --soft: #f5f6f8;
  --bar: #3b74c4; --warn: #b3400a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e7e9ee; --faint: #9aa2b1; --line: #363b47; --paper: #14161b;
  --soft: #1d2027; --bar: #7aa7e8; --warn: #ffab70; } }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 0 auto;
  padding: 2rem clamp(1rem, 3vw, 3rem) 4rem; max-width: 1700px; }
h1 { font-size: 1.7rem; margin: 0; } h2 { font-size: 1.2rem; margin: 2.5rem 0 .6rem; } p { max-width: 75ch; }
h3 { font-size: 1rem; margin: 1.4rem 0 .4rem; }
figcaption { color: var(--faint); }
.facts { display: flex; flex-wrap: wrap; gap: .5rem 2.2rem; margin: 1rem 0; }
.facts b { display: block; font-size: 1.35rem; font-weight: 600; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .92rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem 1.1rem .3rem 0; border-bottom: 1px solid var(--line); }
th { color: var(--faint); font-weight: 500; } td { overflow-wrap: break-word; } td.text { min-width: 26rem; }
figure { margin: 0 0 1.4rem; } figure .wide { border: 1px solid var(--line); border-radius: 6px; width: fit-content;
  max-width: 100%; } figure img { display: block; height: auto;
  max-width: max(100%, 1300px); background: #fff; }
figcaption { font-size: .92rem; margin: .35rem 0 0; } .warning { color: var(--warn); font-weight: 500; }
pre { background: var(--soft); border: 1px solid var(--line); border-radius: 6px; padding: .9rem 1.1rem;
  overflow-x: auto; font-size: .88rem; line-height: 1.45; }
code { font-family: ui-monospace, monospace; font-size: .92em; }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(300px, 1fr)); gap: 1rem 1.5rem; }
.plot { width: 100%; font: 11px system-ui, sans-serif; } .plot text { fill: var(--faint); }
.plot .name { fill: var(--ink); font-size: 13px; } .plot rect { fill: var(--bar); }
.plot path { fill: none; stroke: var(--faint); }
"""


def page(title: str, body: Iterable[str]) -> str:
    """Return the whole document; `body` is HTML already."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )


def section(title: str, *parts: str) -> str:
    """Return a headed section; its parts are HTML already."""
    return f"<section>\n<h2>{escape(title)}</h2>\n" + "\n".join(parts) + "\n</section>"


def heading(text: str) -> str:
    """Return a heading within a section."""
    return f"<h3>{escape(text)}</h3>"


def paragraph(text: str) -> str:
    """Return a paragraph of plain text; code between double backticks, as in docstrings."""
    return f"<p>{prose(text)}</p>"


def warning(text: str) -> str:
    """Return a paragraph of plain text that stands out."""
    return f'<p class="warning">Warning: {prose(text)}</p>'


def prose(text: str) -> str:
    """Return plain text as HTML, with what stands between backticks as code."""
    return re.sub(r"(`+)(.+?)\1", r"<code>\2</code>", escape(text))


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a table of plain values; addresses become links, long texts get room."""
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    lines = "\n".join("<tr>" + "".join(map(_cell, row)) + "</tr>" for row in rows)
    return f'<div class="wide"><table>\n<thead><tr>{top}</tr></thead>\n<tbody>\n{lines}\n</tbody>\n</table></div>'


def _cell(value: Any) -> str:
    text = str(value)
    if re.fullmatch(r"https?://\S+", text):
        return f'<td><a href="{escape(text)}">{escape(text)}</a></td>'
    kind = ' class="text"' if len(text) > 60 else ""
    return f"<td{kind}>{prose(text)}</td>"


def facts(pairs: Iterable[tuple[str, Any]]) -> str:
    """Return the numbers that one wants to see first."""
    inner = "".join(f"<div><b>{escape(str(value))}</b>{escape(name)}</div>" for name, value in pairs)
    return f'<div class="facts">{inner}</div>'


def figure(uri: str, caption: str) -> str:
    """Return a picture, given as a data URI, with a caption; it shrinks while its text is legible, then scrolls."""
    text = escape(caption)
    picture = f'<div class="wide"><img src="{uri}" alt="{text}"></div>'
    return f"<figure>{picture}<figcaption>{text}</figcaption></figure>"


def verbatim(text: str) -> str:
    """Return text exactly as it is."""
    return f"<pre><code>{escape(text)}</code></pre>"
