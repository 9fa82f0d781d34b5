"""HTML to plain text: paragraphs are separated by blank lines, and scripts, styles and drawings are left out.

Law: text in, text out; Python's own parser, which accepts whatever browsers accept.
"""

import re
from html.parser import HTMLParser
from typing import NamedTuple

DROPPED = frozenset(
    ["script", "style", "template", "noscript", "svg", "math", "iframe", "object", "canvas", "audio", "video", "select", "textarea"]
)
"""Elements without text for readers. HTML requires all of their end tags, so it is known where they end."""
PARAGRAPHS = frozenset(
    [
        *("address", "article", "aside", "blockquote", "body", "caption", "dd", "details", "dialog", "div", "dl", "dt", "fieldset"),
        *("figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "head", "header", "hr", "html", "legend"),
        *("main", "nav", "ol", "p", "pre", "section", "summary", "table", "tbody", "tfoot", "thead", "title", "ul"),
    ]
)
"""Elements that are paragraphs of their own."""
LINES = frozenset(["br", "li", "tr", "option"])
"""Elements that begin a new line."""
CELLS = frozenset(["td", "th"])
HEADING = "h1"
PARAGRAPH_BREAK, LINE_BREAK, GAP = "\n\n", "\n", " "
PREFORMATTED = "pre"
BULLETS = {"li": "- "}


class Page(NamedTuple):
    """The title of a page, which is empty if it has none, and its text."""

    title: str
    text: str


def read_html(html: str) -> Page:
    """Return the title and the text of a page: the title is its `title`, or else its first `h1`."""
    parser = _Parser()
    parser.feed(html)
    parser.close()
    lines = [line.rstrip() for line in "".join(parser.parts).split("\n")]
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
    title = " ".join("".join(parser.title).split()) or " ".join("".join(parser.heading).split())
    return Page(title, text)


class _Parser(HTMLParser):
    """Collects the parts of a page's text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.title: list[str] = []
        self.heading: list[str] = []
        self._dropped: list[str] = []
        self._preformatted = 0
        self._inside: list[str] = []
        self._has_heading = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin an element."""
        del attrs
        if tag in DROPPED:
            self._dropped.append(tag)
        elif not self._dropped:
            self._break_at(tag)
            self.parts.append(BULLETS.get(tag, ""))
            self._preformatted += tag == PREFORMATTED
            if tag in {"title", HEADING}:
                self._inside.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin and end an element without content, such as `<br/>`."""
        del attrs
        if tag not in DROPPED and not self._dropped:
            self._break_at(tag)

    def handle_endtag(self, tag: str) -> None:
        """End an element."""
        if self._dropped:
            if tag == self._dropped[-1]:
                self._dropped.pop()
            return
        if tag in PARAGRAPHS:
            self.parts.append(PARAGRAPH_BREAK)
        self._preformatted = max(0, self._preformatted - (tag == PREFORMATTED))
        if tag in self._inside:
            self._inside.remove(tag)
            self._has_heading |= tag == HEADING

    def handle_data(self, data: str) -> None:
        """Keep a text."""
        if self._dropped:
            return
        if "title" in self._inside:
            self.title.append(data)
            return
        if HEADING in self._inside and not self._has_heading:
            self.heading.append(data)
        self.parts.append(data if self._preformatted else self._collapse(data))

    def _collapse(self, data: str) -> str:
        """Return a text in which each run of blanks is one, and which has none at the start of a line."""
        collapsed = re.sub(r"\s+", " ", data)
        return collapsed.lstrip() if self._is_after_blank() else collapsed

    def _is_after_blank(self) -> bool:
        return next((part for part in reversed(self.parts) if part), "\n").endswith(("\n", " "))

    def _break_at(self, tag: str) -> None:
        if tag in PARAGRAPHS:
            self.parts.append(PARAGRAPH_BREAK)
        elif tag in LINES:
            self.parts.append(LINE_BREAK)
        elif tag in CELLS and not self._is_after_blank():
            self.parts.append(GAP)
