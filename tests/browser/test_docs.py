"""The documentation in a browser that reaches nothing but the endpoint."""

from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.conftest import KEY, SCREENS, Endpoint, Seen

if TYPE_CHECKING:
    from playwright.sync_api import Page
else:
    Page = Any


@pytest.mark.parametrize("path", ["docs", "docs/"])
def test_the_documentation_needs_no_network(page: Page, guarded: Endpoint, seen: Seen, path: str) -> None:
    """The page shows every operation of the document, sends no request elsewhere, and breaks no rule of its policy."""
    page.goto(guarded.url + path)
    page.locator(".opblock").first.wait_for()
    paths = guarded.ask("openapi.json")[0]["paths"]
    operations = [method for operations in paths.values() for method in operations if method in {"get", "post"}]
    assert page.locator(".opblock").count() == len(operations)
    assert [request for request in seen.requests if not request.startswith((guarded.url, "data:"))] == []
    assert seen.complaints == []
    SCREENS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENS / "docs.png")


def test_a_request_can_be_tried_from_the_documentation(page: Page, guarded: Endpoint) -> None:
    """The request has the key that the reader entered."""
    page.goto(f"{guarded.url}docs")
    page.get_by_role("button", name="Authorize").click()
    bearer = page.locator(".auth-container form", has=page.locator("#auth-bearer-value"))  # next to the other headers with a key
    bearer.locator("input").fill(KEY)
    bearer.locator(".authorize").click()
    page.locator(".modal-ux .close-modal").click()
    info = page.locator(".opblock", has=page.locator('[data-path="/info"]'))
    info.locator(".opblock-summary-control").click()
    info.get_by_role("button", name="Try it out").click()
    info.get_by_role("button", name="Execute").click()
    assert info.locator(".live-responses-table .response-col_status").last.inner_text() == "200"
