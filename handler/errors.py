"""What can go wrong, as a caller sees it.

Every failure is one sentence that names what was wrong, the limit and the value. The class names are the wire's `error_type`s
and the names that Step Functions' Retry and Catch match, so they carry no `Error` suffix.

Law: knows nothing of HTTP (statuses are handler/http/errors.py's) and nothing of models or AWS.
"""


class EmbeddingError(Exception):
    """Base of all failures that are told to the caller. `str(error)` is the sentence."""


class Unauthorized(EmbeddingError):
    """No key, or a wrong one."""


class Empty(EmbeddingError):
    """`inputs` is empty or holds an empty text."""


class Validation(EmbeddingError):
    """The request is well-formed but asks for something that cannot be done."""


class Tokenizer(EmbeddingError):
    """A text that the tokenizer cannot encode."""


class Backend(EmbeddingError):
    """The model or the deployment is missing, damaged or misconfigured, or produced a vector that is not finite."""


class Unembeddable(Backend):
    """The model gives no vector for this very text, and would give none if asked again."""


class Unfinished(EmbeddingError):
    """Records are left over that may succeed if they are tried again."""


class Internal(EmbeddingError):
    """Anything else. Carries an id to look up in the log, never the cause."""


class Malformed(Validation):
    """The body cannot be read as a request at all."""


class TooLarge(Validation):
    """More than one request may carry."""


def error_type(error: EmbeddingError) -> str:
    """The wire's name for `error`: its class directly below EmbeddingError (`TooLarge` is a `Validation`)."""
    lineage = type(error).__mro__
    return lineage[lineage.index(EmbeddingError) - 1].__name__


def shown(value: object) -> str:
    """A value as a sentence may tell it: sentences get into logs, so a string that is more than a name is only described."""
    if isinstance(value, str):
        is_name = len(value) <= LONGEST_NAME and value.replace("-", "_").isidentifier()
        return f"'{value}'" if is_name else f"a string of {len(value)} characters"
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST_SHOWN:
        return str(value)
    return kind(value)


LONGEST_NAME = 32
LARGEST_SHOWN = 1e15


def kind(value: object) -> str:
    """A JSON value's type, in JSON's words."""
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
