"""Functions that use the page to try the endpoint, as a reader does."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page
else:
    Page = Any

TEXTS = ["How is the weather?", "Is it raining outside?", 'He said: "it\'s $HOME" \\ `déjà vu` 🌧', "I like ice cream."]
LONG = " ".join(str(number) for number in range(400))


def embed(page: Page, texts: list[str] | None = None, key: str = "", **fields: str) -> None:
    """Fill in the form and press the button; the caller waits for the result."""
    if texts is not None:
        page.get_by_label("Texts", exact=True).fill("\n".join(texts))
    page.get_by_label("Key", exact=True).fill(key)
    for name, value in fields.items():
        field = page.locator(f"#{name}")
        field.select_option(value) if name in {"prompt_name", "truncation_direction", "output_dtype"} else field.fill(value)
    page.get_by_role("button", name="Embed").click()


def wait_for_result(page: Page) -> None:
    """Wait until the result is shown."""
    page.locator("#status", has_text="embedded in").wait_for()


def snippet_of(page: Page, api: str, tab: str) -> str:
    """Show a snippet; returns its text."""
    page.get_by_label("API", exact=True).select_option(api)
    page.get_by_role("tab", name=tab, exact=True).click()
    shown: str = page.get_by_role("tabpanel").inner_text()
    return shown
