"""Pages for browsers. Each is one response, with a content security policy that allows only its own style and script.

page/ has them as plain HTML, CSS and JavaScript. A page is assembled at the first request for it, and kept.
"""

import base64
import hashlib
import re
from functools import cache
from pathlib import Path

from fastapi import Response

FOLDER = Path(__file__).with_name("page")
STYLE = re.compile(r'<link rel="stylesheet" href="[\w.]+">')
SCRIPTS = re.compile(r'<script type="module" src="[\w.]+"></script>(?:\n<script type="module" src="[\w.]+"></script>)*')
"""Links that follow each other become one module, so that its files share their names."""
FILE = re.compile(r'(?:src|href)="([\w.]+)"')
POLICY = (
    "default-src 'none'; script-src {script}; style-src {style}; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {"cache-control": "no-cache", "referrer-policy": "no-referrer", "x-content-type-options": "nosniff"}


def page(name: str, *, script: str = "", style: str = "") -> Response:
    """Send the page `name` of the folder; its policy also allows the sources `script` and `style`."""
    html, scripts, styles = _assembled(name)
    policy = POLICY.format(script=f"{scripts} {script}".strip(), style=f"{styles} {style}".strip())
    return Response(html, headers={**HEADERS, "content-security-policy": policy}, media_type="text/html; charset=utf-8")


@cache
def _assembled(name: str) -> tuple[str, str, str]:
    """Return the HTML with the linked files inside, and the hashes of its scripts and styles for the policy."""
    html, scripts = _inlined((FOLDER / f"{name}.html").read_text("utf-8"), SCRIPTS, '<script type="module">', "</script>")
    html, styles = _inlined(html, STYLE, "<style>", "</style>")
    return html, scripts, styles


def _inlined(html: str, link: re.Pattern[str], start: str, end: str) -> tuple[str, str]:
    files = ["\n".join((FOLDER / name).read_text("utf-8") for name in FILE.findall(links)) for links in link.findall(html)]
    remaining = iter(files)
    hashes = (base64.b64encode(hashlib.sha256(file.encode()).digest()).decode() for file in files)
    return link.sub(lambda _: start + next(remaining) + end, html), " ".join(f"'sha256-{digest}'" for digest in hashes)
