"""FastAPI's models of OpenAPI documents are not built at the start, and are complete if used. Each test runs a new process."""

import subprocess
import sys

from tests.conftest import ROOT

DOCUMENT = """
from typing import Annotated
from fastapi import Body, FastAPI
from fastapi.openapi.models import OpenAPI, Schema
from pydantic import BaseModel

class Item(BaseModel):
    name: Annotated[str, Body(min_length=2)]

app = FastAPI()

@app.post("/", response_model=list[Item])
def create(item: Item) -> list[Item]:
    return [item]

print(OpenAPI.model_validate(app.openapi()).model_dump_json(exclude_none=True, by_alias=True), Schema.model_json_schema())
"""


def printed(program: str) -> str:
    """Run a program in a new interpreter; returns what it prints."""
    return subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_no_model_of_openapi_is_built_to_serve_embeddings() -> None:
    """A newer FastAPI or pydantic that builds them in another way would make every cold start slower, unnoticed."""
    listed = printed(
        "import handler.http.app, inspect, pydantic\n"
        "from fastapi.openapi import models\n"
        "print(*(name for name, model in inspect.getmembers(models, inspect.isclass)"
        " if issubclass(model, pydantic.BaseModel) and model.__module__ == models.__name__ and model.__pydantic_complete__))"
    ).split()
    assert set(listed) <= {"OAuthFlows", "OAuthFlow", "BaseModelWithConfig"}, listed  # a default value of FastAPI's own is one


def test_a_model_that_is_used_is_the_same_as_fastapi_s_own() -> None:
    """The document and the schema of an application are the same, to the letter."""
    assert printed(f"import handler.http.app\n{DOCUMENT}") == printed(DOCUMENT)


def test_pydantic_is_unchanged_after_fastapi_has_been_imported() -> None:
    """Models that are defined later are built at once."""
    program = """
from pydantic import BaseModel

class Own(BaseModel):
    number: int

print(Own.__pydantic_complete__, BaseModel.model_config)
"""
    assert printed(f"import handler.http.app\n{program}") == "True {}\n"
