"""FastAPI's models of OpenAPI documents: not built for an embedding, and whole for whoever uses one. In processes of their own."""

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
    """What a fresh interpreter prints that runs `program`."""
    return subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_no_model_of_openapi_is_built_to_serve_embeddings() -> None:
    """A newer FastAPI or pydantic that builds them in another way would make every cold start slower, in silence."""
    listed = printed(
        "import handler.http.app, inspect, pydantic\n"
        "from fastapi.openapi import models\n"
        "print(*(name for name, model in inspect.getmembers(models, inspect.isclass)"
        " if issubclass(model, pydantic.BaseModel) and model.__module__ == models.__name__ and model.__pydantic_complete__))"
    ).split()
    assert set(listed) <= {"OAuthFlows", "OAuthFlow", "BaseModelWithConfig"}, listed  # a default value of FastAPI's own is one


def test_whoever_uses_a_model_afterwards_finds_what_fastapi_alone_has() -> None:
    """The same document and the same schema, to the letter."""
    assert printed(f"import handler.http.app\n{DOCUMENT}") == printed(DOCUMENT)


def test_pydantic_is_as_it_was_when_fastapi_has_been_imported() -> None:
    """Models defined from then on are built at once."""
    program = """
from pydantic import BaseModel

class Own(BaseModel):
    number: int

print(Own.__pydantic_complete__, BaseModel.model_config)
"""
    assert printed(f"import handler.http.app\n{program}") == "True {}\n"
