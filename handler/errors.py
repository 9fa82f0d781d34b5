"""The errors that a caller sees.

Each error is one sentence that names what was wrong, the limit and the value. The names of the classes directly below
EmbeddingError are public: they are the `error_type` of responses, and Step Functions' Retry and Catch match them. That is why they
have no suffix `Error`.

Law: knows nothing of HTTP (statuses are handler/http/errors.py's) and nothing of models or AWS.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any


class EmbeddingError(Exception):
    """Base of all errors that a caller sees. `str(error)` is the sentence."""


class Unauthorized(EmbeddingError):
    """The request has no key, or a wrong one."""


class Empty(EmbeddingError):
    """`inputs` is empty or holds an empty text."""


class Validation(EmbeddingError):
    """The request is well-formed but asks for something that cannot be done."""


class Tokenizer(EmbeddingError):
    """The tokenizer cannot encode a text."""


class Backend(EmbeddingError):
    """The model is missing or damaged, the deployment is misconfigured, or a vector is not finite."""


class Unembeddable(Backend):
    """The model returns no finite vector for one text, and a retry would not change that."""


class Unfinished(EmbeddingError):
    """Some records are not done, and may succeed in a retry."""


class Internal(EmbeddingError):
    """An error that no code expected. Its sentence has an id to look up in the log, never the cause."""


class RefusedText(Validation):
    """One text cannot be embedded. `place` is its index among the texts of the call; `sentence` has `{}` for its name."""

    def __init__(self, sentence: str, place: int = 0) -> None:
        super().__init__(sentence.format("`inputs`"))
        self.sentence = sentence
        self.place = place


class Malformed(Validation):
    """The body cannot be read as a request."""


class TooLarge(Validation):
    """The request is larger than a request may be, or cannot be done in time."""


class OutOfTime(TooLarge):
    """The time ran out before all texts were embedded. `done` has the finished vectors, by the places of their texts."""

    def __init__(self, sentence: str, done: Mapping[int, Any] | None = None) -> None:
        super().__init__(sentence)
        self.done = done or {}


@contextmanager
def naming(*fields: tuple[str, int]) -> Iterator[None]:
    """Name a refused text by the client's own field, and by its index if the field has several texts.

    `fields` has the name of each field whose texts are embedded in one call, and the number of its texts, in their order.
    """
    try:
        yield
    except RefusedText as error:
        place = error.place
        for name, count in fields:
            if place < count:
                raise Validation(error.sentence.format(f"`{name}[{place}]`" if count > 1 else f"`{name}`")) from None
            place -= count
        raise


@contextmanager
def placed_after(count: int) -> Iterator[None]:
    """Count a refused text's place from the first text of the caller, who embeds `count` other texts before these."""
    try:
        yield
    except RefusedText as error:
        raise RefusedText(error.sentence, count + error.place) from None


PUBLIC = {kind.__name__: kind for kind in EmbeddingError.__subclasses__()}
"""The public types of errors by name. No other module has a direct subclass of EmbeddingError; a test checks that."""


def error_type(error: EmbeddingError) -> str:
    """Return the public name of an error: its class directly below EmbeddingError (`TooLarge` is a `Validation`)."""
    lineage = type(error).__mro__
    return lineage[lineage.index(EmbeddingError) - 1].__name__


def shown(value: object) -> str:
    """Describe a value for a sentence. Sentences are logged, so only a string that looks like a name is quoted."""
    if isinstance(value, str):
        is_name = len(value) <= LONGEST_NAME and value.replace("-", "_").replace(".", "_").isidentifier()
        return f"'{value}'" if is_name else f"a string of {len(value)} character{'' if len(value) == 1 else 's'}"
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST_SHOWN:
        return str(value)
    return kind(value)


LONGEST_NAME = 32
LARGEST_SHOWN = 1e15


def kind(value: object) -> str:
    """Name the type of a JSON value in JSON's words."""
    return KINDS[type(value)]


KINDS: dict[type, str] = {
    type(None): "null",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "an object",
}
