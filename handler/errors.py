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
