"""Every error has a public name and a status, whichever module defines it."""

import importlib
import pkgutil
from collections.abc import Iterator
from http import HTTPStatus

import pytest

import handler
from handler.errors import PUBLIC, Backend, EmbeddingError, Malformed, TooLarge, Unembeddable, error_type
from handler.http.errors import STATUS, status_of

for module in pkgutil.walk_packages(handler.__path__, "handler."):
    importlib.import_module(module.name)


def below(base: type[EmbeddingError]) -> Iterator[type[EmbeddingError]]:
    """Yield all subclasses, at any depth."""
    for kind in base.__subclasses__():
        yield kind
        yield from below(kind)


EVERY = sorted(below(EmbeddingError), key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", EVERY)
def test_every_error_has_a_public_name_and_a_status_of_its_own_or_of_its_base(kind: type[EmbeddingError]) -> None:
    """A new type needs a row only if its status differs from its base class's."""
    assert issubclass(kind, PUBLIC[error_type(kind("a sentence"))])
    status = status_of(kind)
    assert HTTPStatus.BAD_REQUEST <= status <= HTTPStatus.INTERNAL_SERVER_ERROR
    assert status == next(STATUS[base] for base in kind.__mro__ if base in STATUS)


def test_the_public_types_are_those_directly_below_the_base() -> None:
    """handler/errors.py defines them all: the table is made when that module is imported."""
    assert set(PUBLIC.values()) == set(EmbeddingError.__subclasses__()) <= STATUS.keys()


def test_a_type_without_a_row_has_the_status_of_its_base_class() -> None:
    """Subclasses can be added anywhere without touching HTTP."""
    assert Unembeddable not in STATUS
    assert issubclass(Unembeddable, Backend)
    assert status_of(Unembeddable) == STATUS[Backend] == 424
    assert status_of(Malformed) != status_of(TooLarge)  # a subclass can have its own
