"""The search in the documents, on the page: it shows the passages that the API finds, marked where they are in their documents."""

from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.accessibility import violations
from tests.browser.conftest import KEY, SCREENS, Endpoint, Seen

if TYPE_CHECKING:
    from playwright.sync_api import Page
else:
    Page = Any

SCREENINGS = {"wide": (1280, 1180), "phone": (360, 740)}
QUESTION = "Do assertions still run when I start the interpreter with -O?"


def open_search(page: Page, endpoint: Endpoint) -> None:
    """Open the page, give it the key, and choose the search."""
    page.goto(endpoint.url)
    page.get_by_label("Key", exact=True).fill(endpoint.key)
    page.get_by_label("Key", exact=True).blur()
    page.get_by_role("tab", name="Search the documents").click()


def search(page: Page, question: str = QUESTION, count: str = "10", *, rerank: bool = False) -> None:
    """Ask a question, and wait for passages."""
    page.get_by_label("A question about the documents").fill(question)
    page.get_by_label("Passages", exact=True).fill(count)
    page.get_by_label("Rerank the best 50").set_checked(rerank)
    page.locator("#documents").get_by_role("button", name="Search").click()
    page.locator("#passage-status", has_text="passage").wait_for()


def test_the_tab_is_there_only_where_the_deployment_has_an_index(page: Page, guarded: Endpoint, searchable: Endpoint) -> None:
    """/info says so, which requires the key."""
    page.goto(guarded.url)
    page.get_by_label("Key", exact=True).fill(KEY)
    page.get_by_label("Key", exact=True).blur()
    page.locator("#model", has_text="all-MiniLM-L6-v2").wait_for()
    assert not page.locator("#views").is_visible()
    page.goto(searchable.url)
    assert not page.locator("#views").is_visible()
    page.get_by_label("Key", exact=True).fill(KEY)
    page.get_by_label("Key", exact=True).blur()
    page.locator("#views").wait_for()
    assert page.get_by_label("Texts", exact=True).is_visible()


def test_the_passages_of_the_api_are_shown_the_best_first(page: Page, searchable: Endpoint) -> None:
    """Each has the title of its document, its place, its score and its text, which is marked."""
    open_search(page, searchable)
    search(page, count="1")
    (best,) = searchable.ask("search", {"query": QUESTION, "k": 1})[0]
    found = best["metadata"]
    assert found["document"] == "assert"
    item = page.locator("#passages li")
    assert item.locator("b").inner_text() == found["title"]
    assert item.locator(".from .quiet").inner_text() == f"characters {found['start']:,} to {found['end']:,}"
    assert item.locator(".score").inner_text() == f"{best['score']:.2f}"
    assert item.locator("mark").evaluate("mark => mark.textContent") == found["text"]
    assert page.locator("#passage-status").inner_text() == "1 passage"


def test_passages_that_overlap_are_one_excerpt_with_each_marked_by_its_range(page: Page, searchable: Endpoint) -> None:
    """No character is shown twice, and the best passage is marked most."""
    open_search(page, searchable)
    search(page, count="12")
    found = searchable.ask("search", {"query": QUESTION, "k": 12})[0]
    items = page.locator("#passages li")
    assert items.count() < len(found)
    ranges = sorted((one["metadata"]["start"], one["metadata"]["end"]) for one in found if one["metadata"]["document"] == "assert")
    covered = {place for start, end in ranges for place in range(start, end)}
    shown = [item for item in items.all() if item.locator("b").inner_text() == found[0]["metadata"]["title"]]
    assert sum(len(item.locator(".excerpt").evaluate("one => [...one.textContent]")) for item in shown) == len(covered)
    best = shown[0].locator("mark.best").evaluate_all("marks => marks.map(mark => mark.textContent).join('')")
    assert best == found[0]["metadata"]["text"]


@pytest.mark.parametrize(
    ("question", "document"), [(QUESTION, "assert"), ('Can I write "yield from" inside a coroutine?', "async")]
)
def test_a_passage_can_be_seen_in_what_is_around_it(page: Page, searchable: Endpoint, question: str, document: str) -> None:
    """The neighbours are asked for by a filter, and are not marked. Those of the second document do not overlap."""
    open_search(page, searchable)
    search(page, question, count="1")
    (best,) = searchable.ask("search", {"query": question, "k": 1})[0]
    place = best["metadata"]
    assert place["document"] == document
    with page.expect_response(lambda response: response.url.endswith("/search")):
        page.get_by_role("button", name="Show what is around it").click()
    longer = "length => document.querySelector('#passages .excerpt').textContent.length > length"
    page.wait_for_function(longer, arg=len(place["text"]))
    conditions = {"document": place["document"], "chunk": {"$gte": max(0, place["chunk"] - 1), "$lte": place["chunk"] + 1}}
    around = [one["metadata"] for one in searchable.ask("search", {"query": question, "filter": conditions})[0]]
    assert len(around) >= 2
    excerpt = page.locator("#passages .excerpt")
    span = max(one["end"] for one in around) - min(one["start"] for one in around)
    assert len(excerpt.evaluate("one => [...one.textContent]")) == span
    assert excerpt.locator("mark").evaluate_all("marks => marks.map(mark => mark.textContent).join('')") == place["text"]
    assert page.get_by_role("button", name="Show what is around it").count() == 0


def test_a_reranked_search_asks_for_the_best_50(page: Page, searchable: Endpoint) -> None:
    """The scores are those of the API's reranker."""
    open_search(page, searchable)
    with page.expect_request(lambda request: request.url.endswith("/search")) as asked:
        search(page, count="1", rerank=True)
    assert asked.value.post_data_json == {"query": QUESTION, "k": 1, "rerank": 50}
    (best,) = searchable.ask("search", {"query": QUESTION, "k": 1, "rerank": 50})[0]
    assert page.locator("#passages .score").inner_text() == f"{best['score']:.2f}"


FAILURES: dict[str, tuple[str, dict[str, str], dict[str, Any]]] = {
    "no question": ("passage-query", {"question": ""}, {"query": ""}),
    "too many passages": ("passage-count", {"count": "101"}, {"k": 101}),
    "no number of passages": ("passage-count", {"count": "all"}, {"k": "all"}),
}


@pytest.mark.parametrize("name", FAILURES)
def test_an_error_is_shown_next_to_its_field(page: Page, searchable: Endpoint, name: str) -> None:
    """The field has the focus, and the sentence is the response's. The next search removes it."""
    field, typed, sent = FAILURES[name]
    open_search(page, searchable)
    page.get_by_label("A question about the documents").fill(typed.get("question", QUESTION))
    page.get_by_label("Passages", exact=True).fill(typed.get("count", "10"))
    page.locator("#documents").get_by_role("button", name="Search").click()
    error = page.locator(f"#{field}-error")
    error.wait_for()
    headers = {"Authorization": f"Bearer {KEY}"}
    expected = page.request.post(f"{searchable.url}search", data={"query": QUESTION, "k": 10, **sent}, headers=headers).json()
    assert error.inner_text() == expected["error"]
    assert page.evaluate("document.activeElement.id") == field
    search(page)
    assert page.locator(".error:visible").count() == 0


def test_the_tabs_can_be_used_by_keyboard(page: Page, searchable: Endpoint) -> None:
    """Arrows move between them, and only the chosen one is in the order of Tab."""
    open_search(page, searchable)
    page.get_by_role("tab", name="Search the documents").focus()
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("document.activeElement.id") == "view-texts"
    assert page.get_by_label("Texts", exact=True).is_visible()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "passage-query"
    page.keyboard.type(QUESTION)
    page.keyboard.press("Enter")
    page.locator("#passages li").first.wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SCREENINGS)
def test_the_search_is_accessible(page: Page, searchable: Endpoint, seen: Seen, scheme: str, size: str) -> None:
    """Axe finds no violation before and after a search, and nothing is wider than the screen."""
    width, height = SCREENINGS[size]
    page.set_viewport_size({"width": width, "height": height})
    page.emulate_media(color_scheme=scheme)
    open_search(page, searchable)
    assert violations(page) == []
    search(page, count="12")
    SCREENS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENS / f"{scheme}-{size}-documents.png")
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert [complaint for complaint in seen.complaints if "Failed to load resource" not in complaint] == []
