"""The table of routes: its rows are complete, and everything that they name exists."""

import re

import pytest

from handler.http import openapi
from handler.http.app import resolve
from handler.http.errors import BODIES
from handler.http.routes import PAGE_PATHS, READ, ROUTES, ErrorForm, Key, Route, error_form, operations, under


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.methods[0]} {route.paths[0]}")
def test_a_route_names_a_function_and_schemas_that_exist(route: Route) -> None:
    """Names are resolved at first use, so that a wrong one would fail in a request only."""
    assert callable(resolve(route.dialect))
    assert {route.request, route.response} - {""} <= openapi.SCHEMAS.keys()


def test_no_operation_is_in_the_table_twice() -> None:
    """The second of two equal rows would never be reached."""
    found = [(method, path) for route in ROUTES for method in route.methods for path in route.paths]
    assert len(found) == len(set(found))


def test_only_reading_is_possible_without_a_key() -> None:
    """A row that posts must not be opened by a slip in its column."""
    without_key = operations(Key.PAGE) | operations(Key.NOT_REQUIRED)
    assert {method for method, _ in without_key} == set(READ)
    assert {path for _, path in without_key} == PAGE_PATHS | {"/", "/health", "/ping"}


def test_every_error_form_has_a_body_and_a_schema() -> None:
    """A form is a row in three tables: its name, how it is written, and its schema."""
    assert set(BODIES) == set(ErrorForm)
    assert {form.value for form in ErrorForm} <= openapi.SCHEMAS.keys()


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.methods[0]} {route.paths[0]}")
def test_errors_have_the_form_of_their_route(route: Route) -> None:
    """The middleware refuses requests before routing, when only the path is known."""
    for path in route.paths:
        assert error_form(re.sub("{.*}", "an/organisation", path)) is route.errors


@pytest.mark.parametrize(
    ("path", "form"),
    [
        *((path, ErrorForm.OPENAI) for path in ("/v1", "/v1/unknown", "/api/v1/x\n", "/openai/v1/x/y", "/openai", "/openai/x")),
        *((path, ErrorForm.OPENAI) for path in ("/deployments/x", "/v2/embeddings", "/models/a/b/embeddings", "/x/y/embeddings")),
        *((path, ErrorForm.OURS) for path in ("/unknown", "/embeddings/x", "", "/api", "/v10/x", "/openais", "/models/a")),
    ],
)
def test_an_unknown_path_has_the_form_of_its_neighbours(path: str, form: ErrorForm) -> None:
    """An OpenAI client that adds a wrong end to its base path still finds the sentence."""
    assert error_form(path) is form


def test_each_end_of_a_path_is_joined_with_each_base() -> None:
    """OpenAI's clients use several base paths, one of them empty."""
    assert under(("/v1", ""), "/a", "/b") == ("/v1/a", "/a", "/v1/b", "/b")
