"""A line in the log for each event that is no HTTP request: what it was, what it took, whether it failed.

Law: knows nothing of what events there are.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from handler import telemetry
from handler.bootstrap import Handler
from handler.config import Settings
from handler.embedding.manifest import Manifest
from handler.embedding.tokenization import Token
from handler.errors import Empty, Tokenizer, Validation
from handler.service import Embeddings, Options, Service
from handler.vectors import NEVER, Vectors

CALLERS_FAULTS = (Empty, Validation, Tokenizer)


def with_request_log(service: Service, answering: Callable[[Service], Handler], route: Callable[[Any], str]) -> Handler:
    """What `answering` makes of `service`, with a line for each event under the name that `route` gives it."""
    metered = Metered(service)
    answer = answering(metered)

    def answer_and_tell(event: Any, context: Any) -> Any:  # noqa: ANN401 - Lambda's own types
        metered.figures.clear()
        started = time.perf_counter_ns()
        failed = True
        try:
            reply = answer(event, context)
            failed = False
        except CALLERS_FAULTS:
            failed = False
            raise
        finally:
            milliseconds = round((time.perf_counter_ns() - started) / 1e6, 3)
            telemetry.request(context, route(event), failed=failed, ms=milliseconds, **metered.figures)
        return reply

    return answer_and_tell


class Metered:
    """A service that adds up what its vectors took, however many calls an event makes."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._thread = threading.local()

    @property
    def figures(self) -> Counter[str]:
        """The sums of the event that this thread handles."""
        figures: Counter[str] = vars(self._thread).setdefault("figures", Counter())
        return figures

    @property
    def settings(self) -> Settings:
        """As Service has it."""
        return self._service.settings

    @property
    def manifest(self) -> Manifest:
        """As Service has it."""
        return self._service.manifest

    @property
    def kernels(self) -> str:
        """As Service has it."""
        return self._service.kernels

    def embed(self, texts: Sequence[str], options: Options, deadline: float = NEVER) -> Embeddings[Vectors]:
        """As Service does."""
        result = self._service.embed(texts, options, deadline)
        self.figures.update(result.figures)
        return result

    def embed_tokens(
        self, texts: Sequence[str], options: Options, check: Callable[[int, int], None], deadline: float = NEVER
    ) -> Embeddings[list[Vectors]]:
        """As Service does."""
        return self._service.embed_tokens(texts, options, check, deadline)

    def tokens_of(self, texts: Sequence[str], options: Options, *, special: bool, deadline: float = NEVER) -> list[list[Token]]:
        """As Service does."""
        return self._service.tokens_of(texts, options, special=special, deadline=deadline)

    def text_of(self, ids: Sequence[int]) -> str:
        """As Service does."""
        return self._service.text_of(ids)
