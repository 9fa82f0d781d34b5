"""Joins settings, model, cache and service: the composition root, and the only reader of os.environ.

Law: knows nothing of HTTP or of event sources; a function hands in how it answers.
"""

import gc
import os
import random
import threading
from collections.abc import Callable, Mapping
from functools import partial
from http.client import HTTPException
from typing import Any

from handler import model_store, snapshot, telemetry
from handler.cache.codec import Codec, Exact32, Scaled16
from handler.cache.key import CacheKeys
from handler.cache.memory import Memory
from handler.cache.policy import Policy
from handler.cache.table import NoTable, Table
from handler.cache.vector_cache import NOWHERE, Remote, VectorCache, Work
from handler.config import CacheSettings, KeySettings, Settings, processes
from handler.embedding.encoder import Encoder
from handler.embedding.tokenization import Tokenization
from handler.errors import Backend
from handler.keys import FixedKeys, Keys, SecretKeys, value_of, versions_of
from handler.runtime_extension import RuntimeExtension
from handler.service import EmbeddingService, NoService, Options, Service

type Event = Any
type Context = Any
type Handler = Callable[[Event, Context], Any]


type Later = Callable[[Work], None]
"""How work is put off until the answer has left."""

MANAGED_INSTANCES = "lambda-managed-instances"
"""The initialisation type on EC2 instances (Lambda developer guide, "Lambda Managed Instances")."""
CODECS: dict[str, type[Scaled16 | Exact32]] = {"fp32": Exact32}
"""By the model's precision; a quantized model's vectors are not worth more than 16 bits a number."""


def load_service(environment: Mapping[str, str], later: Later | None = None) -> Service:
    """The service that `environment` describes; without a usable model, one that refuses every caller.

    Callers get a general sentence and an id: the reason may hold a bucket's name or a setting's value, and /health needs no key.

    Args:
        environment: the settings; handler/README.md lists them.
        later: how work is put off until the answer has left; None if it cannot be.

    Raises:
        Backend: there is no usable model, and a snapshot would be taken of that.
    """

    def load() -> Service:
        try:
            return _service(environment, later)
        except Backend as error:
            incident = telemetry.new_incident()
            telemetry.log("model_not_loaded", incident=incident, reason=str(error))
            msg = f"The model cannot be served; the reason is in the log under {incident}"
            raise Backend(msg) from None

    try:
        return load()
    except Backend as error:
        if snapshot.is_taken(environment):
            raise  # a version that could never answer is better not published
        # A layer stays as it is; what is in S3 may be there, and readable, at another try.
        return NoService(error, load if environment.get("MODEL_URI") else None)


def _service(environment: Mapping[str, str], later: Later | None) -> Service:
    settings = Settings.from_environment(environment)
    folder, manifest = model_store.opened(settings)
    tokenization = Tokenization(folder, manifest.max_length)
    encoder = Encoder(folder, manifest, settings.threads, settings.kernels)
    telemetry.log(
        "model_loaded",
        processor=encoder.kernel_class,
        kernels=encoder.kernels or None,
        threads=settings.threads,
        memory_mb=settings.memory_mb,
    )
    codec = CODECS.get(manifest.precision, Scaled16)(manifest.dimension)
    secret = _key_secret(settings.cache, environment)
    table = NoTable() if secret is None else _table(settings.cache, environment)
    cache = VectorCache(
        CacheKeys(encoder.fingerprint, codec.version, secret or ""),
        codec,
        Memory(settings.cache.memory_bytes),
        _remote(table, codec, settings, later),
    )
    service = EmbeddingService(settings, manifest, tokenization, encoder, cache)
    snapshot.after_restore(environment, random.seed)
    if snapshot.is_taken(environment):
        service.embed(["What the first run sets up is in the snapshot too."], Options(use_cache=False))
    return service


def _key_secret(settings: CacheSettings, environment: Mapping[str, str]) -> str | None:
    """Return the secret of the cache's keys, "" for none; None if it cannot be read: then the table is left alone.

    Raises:
        Backend: it cannot be read, and a snapshot would be taken of that.
    """
    if not settings.key_secret_arn:
        return settings.key_secret
    try:
        return value_of(settings.key_secret_arn)
    except Exception as error:
        telemetry.log("cache_key_not_read", error=type(error).__name__)
        if snapshot.is_taken(environment):
            msg = "The secret that CACHE_KEY_SECRET_ARN names cannot be read; the log says why"
            raise Backend(msg) from error
        return None


def _table(settings: CacheSettings, environment: Mapping[str, str]) -> Table:
    """The table of the settings, with a client that is ready to call.

    Made now, in the init phase and before a snapshot, never on a request; on a thread beside the model's loading it is no sooner.
    """
    if not settings.table:
        return NoTable()
    from handler.cache.dynamodb import DynamoTable, connect  # noqa: PLC0415 - 0.12 s that a deployment without a table does not spend

    try:
        table = DynamoTable(connect(), settings.table, settings.ttl_days, settings.budget_seconds)
    except Exception as error:  # noqa: BLE001 - botocore's errors have no base that is known without importing it
        telemetry.log("cache_not_connected", error=type(error).__name__, reason=str(error))
        return NoTable()
    snapshot.after_restore(environment, table.renew)
    return table


def _remote(table: Table, codec: Codec, settings: Settings, later: Later | None) -> Remote:
    if isinstance(table, NoTable):
        return NOWHERE
    # Prices and what is made of them: 5 ms that a deployment without a table does not spend.
    from handler.cache.accounts import Accounts  # noqa: PLC0415
    from handler.cache.cost import ATTRIBUTES_BYTES, CostModel  # noqa: PLC0415

    cost = CostModel(settings.memory_mb, codec.row_bytes + ATTRIBUTES_BYTES)
    return Remote(
        table,
        Policy(settings.cache.min_tokens),
        later or (lambda work: work(settings.cache.budget_seconds)),
        Accounts(cost, settings.cache.table).settle,
    )


def load_keys(environment: Mapping[str, str]) -> Keys | None:
    """Who may call over HTTP; None is everyone, and only where the deployment says so."""
    settings = KeySettings.from_environment(environment)
    if settings.open:
        return None
    if settings.secret:
        keys = SecretKeys(partial(versions_of, settings.secret))
        snapshot.after_restore(environment, keys.renew)
        return keys
    if not settings.keys:
        telemetry.log("no_keys", reason="neither API_KEYS nor API_KEYS_SECRET is set, and AUTH is not none: no key is valid")
    return FixedKeys(settings.keys)


def lambda_function(answering: Callable[[Mapping[str, str], Later | None], Handler]) -> Handler:
    """A Lambda handler that answers as `answering` says, given the environment and how work is put off (None if it cannot be).

    Under Lambda everything is loaded now, in the init phase; elsewhere at the first event, so that importing has no effect.
    """
    answer: Handler | None = None
    owner = os.getpid()
    loading = threading.Lock()

    def handler(event: Event, context: Context) -> Any:  # noqa: ANN401 - whatever the function answers with
        nonlocal answer, owner
        if answer is None or owner != os.getpid():
            with loading:
                # A forked process has none of the threads that encode and write, and would wait for them for ever: it loads anew.
                if answer is None or owner != os.getpid():
                    answer, owner = answering(os.environ, None), os.getpid()
        return answer(event, context)

    if api := os.environ.get("AWS_LAMBDA_RUNTIME_API"):
        answer = _under_lambda(answering, api)
        # All that there is now stays: the collector, which rested since handler/functions/__init__.py, need never look through it.
        gc.freeze()
        gc.enable()
    return handler


def _under_lambda(answering: Callable[[Mapping[str, str], Later | None], Handler], api: str) -> Handler:
    """The function, ready to answer; with a table, its writes are done after the answer where the runtime allows it."""
    # An environment on Managed Instances has several processes and invocations at once, and refuses extensions that ask for INVOKE.
    managed = os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == MANAGED_INSTANCES or processes(os.environ) > 1
    if managed or not os.environ.get("CACHE_TABLE"):
        return answering(os.environ, None)
    try:
        extension = RuntimeExtension.registered(api)
    except (OSError, HTTPException) as error:
        telemetry.log("no_extension", error=type(error).__name__)
        return answering(os.environ, None)
    answer = answering(os.environ, extension.later)
    extension.start()

    def answer_and_say_so(event: Event, context: Context) -> Any:  # noqa: ANN401 - whatever the function answers with
        try:
            return answer(event, context)
        finally:
            extension.answered(context.aws_request_id)

    return answer_and_say_so
