"""FastAPI, imported without building what no embedding asks for.

Importing FastAPI defines the models of OpenAPI's documents, forty of them, and pydantic builds a validator for each: a third of the
whole import, for documents that this application writes without them. pydantic has a setting for it, `defer_build`: a validator is
built when it is first used. Here it holds for the models that are defined while FastAPI is imported; the rebuilding that FastAPI
asks for at the end of them would build nearly all of them at once, and is left to their first use too. Nothing else differs: the
modules and models are FastAPI's own, and whoever uses one finds it whole.

Law: imported before anything that imports FastAPI, which handler/http/__init__.py sees to.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pydantic import BaseModel


@contextmanager
def deferred() -> Iterator[None]:
    """While this lasts, models are defined and not built; their first use builds them, then or later."""
    rebuild = vars(BaseModel)["model_rebuild"]

    def at_first_use(model: type[BaseModel], **how: Any) -> bool | None:  # noqa: ANN401 - pydantic's own
        # A first use says how; a call that only wants it done by now says nothing.
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
    import fastapi  # noqa: F401 - all that matters is that it is imported here first
