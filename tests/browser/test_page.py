"""The page to try the endpoint, used as a reader uses it: it shows what the API returns."""

import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.browser.accessibility import violations
from tests.browser.conftest import KEY, PROMPTS, SCREENS, Endpoint, Seen
from tests.browser.form import LONG, TEXTS, embed, snippet_of, wait_for_result

if TYPE_CHECKING:
    from playwright.sync_api import Page
else:
    Page = Any

README_BYTES = 150_000
"""The most bytes of the README's picture."""


def heat(page: Page) -> np.ndarray[Any, Any]:
    """Return the numbers of the heat map."""
    rows = page.locator("#heat tbody tr").all()
    return np.array([[float(cell) for cell in row.locator("td").all_inner_texts()] for row in rows])


def cosines(vectors: list[list[float]]) -> np.ndarray[Any, Any]:
    """Return the cosines of all pairs of vectors."""
    rows = np.array(vectors)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    similar: np.ndarray[Any, Any] = rows @ rows.T
    return similar


def facts(page: Page) -> dict[str, str]:
    """Return the facts that the page shows, by name."""
    names, values = (page.locator(f"#facts {tag}").all_inner_texts() for tag in ("dt", "dd"))
    return dict(zip(names, values, strict=True))


OPTIONS = {
    "as it is": {},
    "all options": {"dimensions": "64", "prompt_name": "query", "truncation_direction": "left"},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_the_heat_map_has_the_cosines_of_the_api_s_vectors(page: Page, guarded: Endpoint, seen: Seen, name: str) -> None:
    """They agree to the two decimals shown, and the facts agree with the headers."""
    page.goto(guarded.url)
    embed(page, [*TEXTS, LONG], KEY)
    wait_for_result(page)  # with it the page has read which prompts there are
    with page.expect_response(guarded.url) as received:
        embed(page, [*TEXTS, LONG], KEY, **OPTIONS[name])
    page.wait_for_function(
        "count => document.querySelector('#facts').innerText.includes(count)", arg=OPTIONS[name].get("dimensions", "384")
    )
    body = {**OPTIONS[name], "inputs": [*TEXTS, LONG]}
    if "dimensions" in body:
        body["dimensions"] = int(body["dimensions"])  # type: ignore[call-overload]
    vectors, headers = guarded.ask(body=body)
    assert json.loads(received.value.request.post_data) == body
    assert np.abs(heat(page) - cosines(vectors)).max() <= 0.005 + 1e-9
    shown = facts(page)
    assert shown["tokens"] == headers["x-compute-tokens"]
    assert shown["dimensions"] == str(len(vectors[0]))
    assert shown["cached"].split() == [received.value.headers["x-cache-hits"], "of", "5"]
    assert shown["warning"] == headers["x-hf-warning"].removeprefix("truncation; ")
    assert headers["x-model-sha"].startswith(shown["model"].split(" · ")[1])
    assert page.locator("#vectors canvas").count() == page.locator("#map circle").count() == 5
    assert page.locator("#vectors canvas").first.get_attribute("width") == str(len(vectors[0]))
    assert {request.split("/")[2] for request in seen.requests if request.startswith("http")} == {guarded.url.split("/")[2]}


def test_the_map_shows_similar_texts_close_to_each_other(page: Page, unguarded: Endpoint) -> None:
    """Positions are the first two principal components, except for signs and scale."""
    page.goto(unguarded.url)
    embed(page)
    wait_for_result(page)
    texts = page.get_by_label("Texts", exact=True).input_value().split("\n")
    vectors = np.array(unguarded.ask(body={"inputs": texts})[0])
    centred = vectors - vectors.mean(axis=0)
    left, strengths, _ = np.linalg.svd(centred, full_matrices=False)
    share = (strengths[:2] ** 2).sum() / (strengths**2).sum()
    assert f"they hold {share * 100:.0f} %" in page.locator("#map-hint").inner_text()
    places = np.array(
        [[float(circle.get_attribute(axis)) for axis in ("cx", "cy")] for circle in page.locator("#map circle").all()]
    )
    for axis in (0, 1):
        assert abs(np.corrcoef(places[:, axis], left[:, axis])[0, 1]) > 0.999


def test_the_search_ranks_the_lines_by_meaning(page: Page, guarded: Endpoint) -> None:
    """The ranking is that of the API's vectors, with the model's prompt for questions."""
    page.goto(guarded.url)
    embed(page, TEXTS, KEY)
    wait_for_result(page)
    page.get_by_label("A question about your texts").fill("What is for dessert?")
    assert page.get_by_label("Prompt of the question").input_value() == "query"
    page.get_by_role("button", name="Search").click()
    page.locator("#ranking li").first.wait_for()
    vectors = np.array(guarded.ask(body={"inputs": TEXTS})[0])
    question = np.array(guarded.ask(body={"inputs": ["What is for dessert?"], "prompt_name": "query"})[0][0])
    scores = vectors @ question
    expected = [[TEXTS[index], f"{scores[index]:.2f}"] for index in np.argsort(-scores)]
    assert [item.inner_text().split("\n") for item in page.locator("#ranking li").all()] == expected


def test_the_prompts_are_the_model_s_own(page: Page, guarded: Endpoint) -> None:
    """The page reads them once it has the key, and shows their texts."""
    page.goto(guarded.url)
    assert page.locator("#prompt_name option").all_inner_texts() == ["the model's default"]
    page.get_by_label("Key", exact=True).fill(KEY)
    page.get_by_label("Key", exact=True).blur()
    page.locator("#model", has_text="all-MiniLM-L6-v2").wait_for()
    assert page.locator("#prompt_name option").all_inner_texts() == ["the model's default", *PROMPTS]
    page.locator("#prompt_name").select_option("passage")
    assert "passage: " in page.locator("#prompt_name-hint").inner_text()


FAILURES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "a wrong key": ("key", {"key": "wrong"}, {}),
    "dimensions out of range": ("dimensions", {"dimensions": "385"}, {"dimensions": 385}),
    "dimensions that are not whole bytes of bits": (
        "output_dtype",
        {"output_dtype": "binary", "dimensions": "9"},
        {"output_dtype": "binary", "dimensions": 9},
    ),
    "dimensions that are no number": ("dimensions", {"dimensions": "all of them"}, {"dimensions": "all of them"}),
    "no text": ("texts", {"texts": [" ", ""]}, {"inputs": []}),
    "too many texts": ("texts", {"texts": ["a"] * 2049}, {"inputs": ["a"] * 2049}),
}


@pytest.mark.parametrize("name", FAILURES)
def test_an_error_is_shown_next_to_its_field(page: Page, guarded: Endpoint, name: str) -> None:
    """The field is marked, is described by the sentence of the response, and has the focus."""
    field, typed, sent = FAILURES[name]
    page.goto(guarded.url)
    embed(page, TEXTS, KEY)
    wait_for_result(page)  # with it the page has read which types there are
    embed(page, **{"texts": TEXTS, "key": KEY, **typed})
    error = page.locator(f"#{field}-error")
    error.wait_for()
    key = typed.get("key", KEY)
    expected = page.request.post(guarded.url, data={"inputs": TEXTS, **sent}, headers={"Authorization": f"Bearer {key}"}).json()
    assert error.inner_text() == expected["error"]
    marked = page.locator(f"#{field}")
    assert marked.get_attribute("aria-invalid") == "true"
    assert f"{field}-error" in marked.get_attribute("aria-describedby")
    assert page.evaluate("document.activeElement.id") == field
    embed(page, TEXTS, KEY, dimensions="")
    wait_for_result(page)
    assert page.locator(".error:visible").count() == 0


def test_the_line_that_an_error_is_about_is_selected(page: Page, unguarded: Endpoint) -> None:
    """Half of a surrogate pair comes from no keyboard, but from careless programs."""
    page.goto(unguarded.url)
    page.evaluate(r"document.querySelector('#texts').value = 'fine\n\nhalf \ud83d\nfine'")
    page.get_by_role("button", name="Embed").click()
    page.locator("#texts-error", has_text="`inputs[1]`").wait_for()
    assert page.evaluate(
        "(({ selectionStart, selectionEnd }) => [selectionStart, selectionEnd])(document.querySelector('#texts'))"
    ) == [6, 12]


def test_an_endpoint_that_cannot_be_reached_is_reported(page: Page, unguarded: Endpoint) -> None:
    """The page also shows errors of a gateway."""
    page.goto(unguarded.url)
    page.route(unguarded.url, lambda route: route.fulfill(status=503, json={"message": "Service Unavailable"}))
    embed(page, TEXTS)
    page.locator("#request-error", has_text="Service Unavailable").wait_for()
    page.unroute(unguarded.url)
    page.route(unguarded.url, lambda route: route.abort())
    embed(page, TEXTS)
    page.locator("#request-error", has_text="The endpoint cannot be reached").wait_for()


SIZES = {
    "float32": "384 numbers, 1,536 bytes",
    "int8": "384 numbers, 384 bytes as int8 (as float32: 384 numbers, 1,536 bytes)",
    "uint8": "384 numbers, 384 bytes as uint8 (as float32: 384 numbers, 1,536 bytes)",
    "binary": "48 numbers, 48 bytes as binary (as float32: 384 numbers, 1,536 bytes)",
    "ubinary": "48 numbers, 48 bytes as ubinary (as float32: 384 numbers, 1,536 bytes)",
}


def test_small_types_change_the_size_and_the_numbers_alone(page: Page, unguarded: Endpoint) -> None:
    """Similarities, map and search are those of float32 for every type that the endpoint lists."""
    page.goto(unguarded.url)
    page.locator("#model", has_text="all-MiniLM-L6-v2").wait_for()
    assert page.locator("#output_dtype option").all_inner_texts() == list(SIZES) == unguarded.ask("info")[0]["output_dtypes"]
    vectors = np.array(unguarded.ask(body={"inputs": TEXTS})[0])
    question = np.array(unguarded.ask(body={"inputs": ["What is for dessert?"]})[0][0])
    places = set()
    for name, size in SIZES.items():
        embed(page, TEXTS, output_dtype=name)
        page.locator("#facts .wide dd", has_text=re.compile(f"^{re.escape(size)}$")).wait_for()
        assert facts(page)["dimensions"] == "384"
        assert np.abs(heat(page) - cosines(vectors.tolist())).max() <= 0.005 + 1e-9
        places.add(page.locator("#map circle").first.get_attribute("cx"))
        typed = unguarded.ask(body={"inputs": TEXTS, "output_dtype": name})[0][0]
        first = ", ".join(f"{number:.4f}" if name == "float32" else str(number) for number in typed[:4])
        assert page.locator("#vectors .numbers").first.inner_text() == f"{first}, …"
        page.get_by_label("A question about your texts").fill("What is for dessert?")
        page.get_by_role("button", name="Search").click()
        page.locator("#ranking li").first.wait_for()
        scores = [f"{score:.2f}" for score in sorted(vectors @ question, reverse=True)]
        assert page.locator("#ranking .score").all_inner_texts() == scores
    assert len(places) == 1


def test_an_endpoint_that_returns_small_vectors_by_default_is_asked_for_float32(page: Page, binary: Endpoint) -> None:
    """A snippet names the type if it is not the endpoint's own."""
    page.goto(binary.url)
    page.locator("#model", has_text="all-MiniLM-L6-v2").wait_for()
    assert page.locator("#output_dtype").input_value() == "float32"
    embed(page, TEXTS)
    wait_for_result(page)
    vectors = binary.ask(body={"inputs": TEXTS, "output_dtype": "float32"})[0]
    assert np.abs(heat(page) - cosines(vectors)).max() <= 0.005 + 1e-9
    assert '"output_dtype": "float32"' in snippet_of(page, "Hugging Face", "curl")
    embed(page, TEXTS, output_dtype="binary")
    page.locator("#facts .wide dd", has_text="48 numbers, 48 bytes as binary").wait_for()
    assert np.abs(heat(page) - cosines(vectors)).max() <= 0.005 + 1e-9
    assert "output_dtype" not in snippet_of(page, "Hugging Face", "curl")


def test_the_key_stays_in_the_tab(page: Page, guarded: Endpoint, seen: Seen) -> None:
    """The key is not shown, stored or put into an address, and a reload forgets it."""
    page.goto(guarded.url)
    embed(page, TEXTS, KEY)
    wait_for_result(page)
    assert KEY not in page.content()
    stored = "[localStorage.length, sessionStorage.length, document.cookie, history.state, location.href]"
    assert page.evaluate(stored) == [0, 0, "", None, guarded.url]
    assert [request for request in seen.requests if KEY in request] == []
    page.reload()
    assert page.get_by_label("Key", exact=True).input_value() == ""


def test_behind_a_stage_the_page_sends_requests_through_the_stage(page: Page, guarded: Endpoint) -> None:
    """The page has several addresses; the gateway removes the stage from the path."""
    asked = []

    def gateway(route: Any) -> None:  # noqa: ANN401 - playwright's
        asked.append(route.request.url)
        route.fulfill(response=route.fetch(url=route.request.url.replace("/Prod", "", 1)))

    page.route(re.compile("/Prod"), gateway)
    for path in ("Prod/", "Prod/try", "Prod/try/", "Prod"):
        page.goto(guarded.url + path)
        embed(page, TEXTS, KEY)
        wait_for_result(page)
        assert f"curl -s '{guarded.url}Prod/'" in page.get_by_role("tabpanel").inner_text()
    assert len(asked) > 8
    page.get_by_role("link", name="All routes and fields").click()
    page.locator(".opblock").first.wait_for()


def test_the_page_can_be_used_by_keyboard(page: Page, guarded: Endpoint) -> None:
    """Tab moves through the fields in order, Enter presses a button, arrows choose a snippet; the focus is visible."""
    page.goto(guarded.url)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "texts"
    page.keyboard.press("Control+A")
    page.keyboard.type("One text.\nAnother one.\nA third.")
    order = []
    while (focused := page.evaluate("document.activeElement.id || document.activeElement.innerText")) != "embed":
        order.append(focused)
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
        if focused == "key":
            page.keyboard.type(KEY)
        page.keyboard.press("Tab")
    assert order == [
        "texts",
        "Everyday",
        "Support",
        "Same words",
        "key",
        "dimensions",
        "truncation_direction",
        "output_dtype",
        "prompt_name",
        "normalize",
    ]
    page.keyboard.press("Enter")
    wait_for_result(page)
    assert heat(page).shape == (3, 3)
    page.get_by_label("A question about your texts").focus()
    page.keyboard.type("Which one?")
    page.keyboard.press("Enter")
    page.locator("#ranking li").first.wait_for()
    page.get_by_role("tab", name="curl").focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.innerText") == "Python"
    assert "huggingface_hub" in page.get_by_role("tabpanel").inner_text()
    page.get_by_label("Texts", exact=True).focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("With control and enter.")
    page.keyboard.press("Control+Enter")
    page.locator("#status", has_text="1 text embedded").wait_for()


SCREENINGS = {"wide": (1280, 1180), "phone": (360, 740)}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SCREENINGS)
def test_the_page_is_accessible(page: Page, guarded: Endpoint, seen: Seen, scheme: str, size: str) -> None:
    """In each state axe finds no violation, and nothing is wider than the screen. The screenshots are kept."""
    width, height = SCREENINGS[size]
    page.set_viewport_size({"width": width, "height": height})
    page.emulate_media(color_scheme=scheme)
    page.goto(guarded.url)

    def look(state: str) -> None:
        SCREENS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SCREENS / f"{scheme}-{size}-{state}.png", full_page=state == "answer")
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") == width

    look("start")
    embed(page, key=KEY)
    wait_for_result(page)
    page.get_by_label("A question about your texts").fill("Which machine is broken?")
    page.get_by_role("button", name="Search").click()
    page.locator("#ranking li").first.wait_for()
    look("answer")
    page.get_by_label("API", exact=True).select_option("Ollama")
    page.get_by_role("tab", name="Python", exact=True).click()
    embed(page, key=KEY, output_dtype="binary")
    page.locator("#facts", has_text="48 bytes as binary").wait_for()
    look("small")
    embed(page, key=KEY, dimensions="0")
    page.locator("#dimensions-error").wait_for()
    look("failure")
    assert [complaint for complaint in seen.complaints if "Failed to load resource" not in complaint] == []


def test_the_readme_s_picture(page: Page, unguarded: Endpoint) -> None:
    """The test writes build/screens/page.png; `make screenshot` copies it to where the README shows it."""
    from PIL import Image  # noqa: PLC0415 - only in the browser's own environment

    page.set_viewport_size({"width": 1200, "height": 1410})
    page.goto(unguarded.url)
    embed(page)
    wait_for_result(page)
    picture = SCREENS / "page.png"
    page.screenshot(path=picture)
    Image.open(picture).convert("RGB").quantize(128, dither=Image.Dither.NONE).save(picture, optimize=True)
    assert picture.stat().st_size <= README_BYTES
