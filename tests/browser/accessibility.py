"""Whether a page can be used by everybody, as far as axe can tell."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page
else:
    Page = Any


def violations(page: Page) -> list[str]:
    """Return the accessibility violations that axe finds."""
    from axe_playwright_python.sync_playwright import Axe  # noqa: PLC0415 - only in the browser's own environment

    found = Axe().run(page).response["violations"]
    return [f"{rule['id']}: {node['html']} {node['failureSummary']}" for rule in found for node in rule["nodes"]]
