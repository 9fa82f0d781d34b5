"""Imports FastAPI without building the models that no embedding needs.

Importing FastAPI defines forty models of OpenAPI documents, and pydantic builds a validator for each. That takes a third of the
import, and this application writes its document without them. With pydantic's setting `defer_build`, a validator is built at its
first use. The setting is on while FastAPI is imported. FastAPI also calls `model_rebuild`, which would build nearly all models at
once: those calls are left to the first use too. Nothing else differs: a model that is used is complete.

Law: this module is imported before any other that imports FastAPI; handler/http/__init__.py does it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pydantic import BaseModel


@contextmanager
def deferred() -> Iterator[None]:
    """Define models without building them while the context lasts; the first use of a model builds it."""
    rebuild = vars(BaseModel)["model_rebuild"]

    def at_first_use(model: type[BaseModel], **how: Any) -> bool | None:  # noqa: ANN401 - pydantic's own arguments
        # pydantic passes arguments at a first use. FastAPI's calls have none.
        built: bool | None = rebuild.__get__(None, model)(**how) if how else None
        return built

    BaseModel.model_config["defer_build"] = True
    BaseModel.model_rebuild = classmethod(at_first_use)  # type: ignore[method-assign, assignment, arg-type]
    try:
        yield
    finally:
        del BaseModel.model_config["defer_build"]
        BaseModel.model_rebuild = rebuild  # type: ignore[method-assign]


with deferred():
    import fastapi  # noqa: F401 - only the import matters
