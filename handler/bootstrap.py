"""Joins settings, model and service: the composition root, and the only reader of os.environ.

Law: knows nothing of HTTP or of event sources; a function hands in how it answers.
"""

import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from handler import telemetry
from handler.config import KeySettings, Settings
from handler.embedding.encoder import Encoder
from handler.embedding.manifest import Manifest
from handler.embedding.tokenization import Tokenization
from handler.errors import Backend
from handler.keys import FixedKeys, Keys, SecretKeys, versions_of
from handler.service import EmbeddingService, NoService, Service

type Event = Any
type Context = Any
type Answer = Callable[[Event, Context], Any]


def load_service(environment: Mapping[str, str]) -> Service:
    """The service that `environment` describes; without a usable model, one that says so to every caller."""
    try:
        settings = Settings.from_environment(environment)
        manifest = Manifest.read(settings.model_dir)
        tokenization = Tokenization(settings.model_dir, manifest.max_length)
        encoder = Encoder(settings.model_dir, manifest, settings.threads)
    except Backend as error:
        telemetry.log("model_not_loaded", reason=str(error))
        return NoService(error)
    return EmbeddingService(settings, manifest, tokenization, encoder)


def load_keys(environment: Mapping[str, str]) -> Keys | None:
    """Who may call over HTTP; None is everyone, and only where the deployment says so."""
    settings = KeySettings.from_environment(environment)
    if settings.open:
        return None
    if settings.secret:
        import botocore.session  # noqa: PLC0415 - 250 ms that a deployment without a secret does not pay
        from botocore.config import Config  # noqa: PLC0415 - likewise

        config = Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 2, "mode": "standard"})
        client = botocore.session.get_session().create_client("secretsmanager", config=config)
        return SecretKeys(partial(versions_of, settings.secret, client))
    if not settings.keys:
        telemetry.log("no_keys", reason="neither API_KEYS nor API_KEYS_SECRET is set, and AUTH is not none: no key is valid")
    return FixedKeys(settings.keys)


def lambda_function(answering: Callable[[Mapping[str, str]], Answer]) -> Answer:
    """A Lambda handler that answers as `answering`, given the environment, says.

    Under Lambda everything is loaded now, in the init phase; elsewhere at the first event, so that importing has no effect.
    """
    answer: Answer | None = None

    def handler(event: Event, context: Context) -> Any:  # noqa: ANN401 - whatever the function answers with
        nonlocal answer
        if answer is None:
            answer = answering(os.environ)
        return answer(event, context)

    if "AWS_LAMBDA_RUNTIME_API" in os.environ:
        answer = answering(os.environ)
    return handler
