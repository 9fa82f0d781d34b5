"""Pages for a browser: each one response, with a policy that lets its own style and script run and no others.

page/ has them as plain HTML, CSS and JavaScript; a page is put together when it is first asked for, and kept.
"""

import base64
import hashlib
import re
from functools import cache
from pathlib import Path

from fastapi import Response

FOLDER = Path(__file__).with_name("page")
STYLE = re.compile(r'<link rel="stylesheet" href="([\w.]+)">')
SCRIPT = re.compile(r'<script type="module" src="([\w.]+)"></script>')
POLICY = (
    "default-src 'none'; script-src {script}; style-src {style}; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {"cache-control": "no-cache", "referrer-policy": "no-referrer", "x-content-type-options": "nosniff"}


def page(name: str, *, script: str = "", style: str = "") -> Response:
    """The page `name` of the folder; `script` and `style` are what its policy allows beside its own."""
    html, scripts, styles = _assembled(name)
    policy = POLICY.format(script=f"{scripts} {script}".strip(), style=f"{styles} {style}".strip())
    return Response(html, headers={**HEADERS, "content-security-policy": policy}, media_type="text/html; charset=utf-8")


@cache
def _assembled(name: str) -> tuple[str, str, str]:
    """The HTML with what it links to inside, and the hashes of the scripts and of the styles for its policy."""
    html, scripts = _inlined((FOLDER / f"{name}.html").read_text("utf-8"), SCRIPT, '<script type="module">', "</script>")
    html, styles = _inlined(html, STYLE, "<style>", "</style>")
    return html, scripts, styles


def _inlined(html: str, link: re.Pattern[str], start: str, end: str) -> tuple[str, str]:
    files = [(FOLDER / name).read_text("utf-8") for name in link.findall(html)]
    remaining = iter(files)
    hashes = (base64.b64encode(hashlib.sha256(file.encode()).digest()).decode() for file in files)
    return link.sub(lambda _: start + next(remaining) + end, html), " ".join(f"'sha256-{digest}'" for digest in hashes)
