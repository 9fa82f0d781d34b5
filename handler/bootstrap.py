"""Makes the service from settings, model and cache, and the Lambda handler around it: the only reader of os.environ.

Law: knows nothing of HTTP or of event sources: each function passes in the code that makes its handler.
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
from handler.cache.codec import CODECS, Codec
from handler.cache.key import CacheKeys
from handler.cache.memory import Memory
from handler.cache.policy import Policy
from handler.cache.table import NoTable, Table
from handler.cache.vector_cache import MEMORY_ONLY, Remote, VectorCache
from handler.config import CacheSettings, KeySettings, ModelPlace, Settings, count_processes
from handler.embedding import encoders
from handler.embedding.paced_encoder import PacedEncoder
from handler.embedding.tokenization import Tokenization
from handler.embedding_service import EmbeddingService
from handler.errors import Backend
from handler.keys import FixedKeys, Keys, SecretKeys, read_keys, read_secret
from handler.kinds import Context, Event
from handler.runtime_extension import Defer, RuntimeExtension
from handler.service import Options, Reranker, Service

type Handler = Callable[[Event, Context], Any]
"""Takes an event and Lambda's context; returns the function's response."""
type MakeHandler = Callable[[Mapping[str, str], Defer | None], Handler]
"""Makes a function's handler from the environment; the second argument is None if no work can be deferred."""

MANAGED_INSTANCES = "lambda-managed-instances"
"""The initialisation type on EC2 instances (Lambda developer guide, "Lambda Managed Instances")."""


def load_service(environment: Mapping[str, str], defer: Defer | None = None) -> Service:
    """Make the service that the environment describes. Without a usable model, make one that refuses every request.

    Callers get a general sentence and an id. The reason is only logged: it may have a bucket's name or a setting's value, and
    /health requires no key.

    Args:
        environment: the settings; handler/README.md lists them.
        defer: runs work after the response was sent; None if no work can be deferred.

    Raises:
        Backend: there is no usable model, and a snapshot is about to be taken of this environment.
    """

    def load() -> Service:
        return _or_incident(lambda: _service(environment, defer), "model")

    try:
        return load()
    except Backend as error:
        if snapshot.is_taken(environment):
            raise  # a version without a model must not be published
        # A layer never changes. A model in S3 may be there, and readable, when the service tries again.
        from handler.unloaded_service import UnloadedService  # noqa: PLC0415 - only if there is no model

        return UnloadedService(error, load if environment.get("MODEL_URI") else None)


def _or_incident[Loaded](load: Callable[[], Loaded], name: str) -> Loaded:
    """Load a model. Log the reason if there is none, and raise a sentence without it.

    Raises:
        Backend: there is no usable model.
    """
    try:
        return load()
    except Backend as error:
        incident = telemetry.new_incident()
        telemetry.log(f"{name}_not_loaded", incident=incident, reason=str(error))
        msg = f"The {name} cannot be served; the reason is in the log under {incident}"
        raise Backend(msg) from None


def _service(environment: Mapping[str, str], defer: Defer | None) -> Service:
    settings = Settings.from_environment(environment)
    folder, manifest = model_store.open_model(settings.model)
    if manifest.activation:
        msg = "MODEL_DIR or MODEL_URI names a cross-encoder, which gives no vectors: name it by RERANKER_DIR or RERANKER_URI"
        raise Backend(msg)
    tokenization = Tokenization(folder, manifest.max_length)
    encoder = encoders.load(folder, manifest, settings.threads, settings.kernels)
    telemetry.log(
        "model_loaded",
        processor=encoder.kernel_class,
        kernels=encoder.kernels or None,
        threads=settings.threads,
        memory_mb=settings.memory_mb,
    )
    codec = CODECS[manifest.codec](manifest.dimension)
    secret = _key_secret(settings.cache, environment)
    table = NoTable() if secret is None else _table(settings.cache, environment)
    cache = VectorCache(
        CacheKeys(encoder.fingerprint, codec.version, secret or ""),
        codec,
        Memory(settings.cache.memory_bytes),
        _remote(table, codec, settings, defer),
    )
    service = EmbeddingService(settings, manifest, tokenization, PacedEncoder(encoder), cache, _reranker(settings, environment))
    if settings.search_index_arn:
        from handler.vector_index import find_model_fault  # noqa: PLC0415 - only a deployment with a search needs it

        if fault := find_model_fault(manifest):
            telemetry.log("search_refused", reason=fault)  # and so is each search; all other requests are served
    snapshot.after_restore(environment, random.seed)
    if snapshot.is_taken(environment):
        service.embed(["The first run sets up memory that belongs into the snapshot."], Options(use_cache=False))
    return service


def _reranker(settings: Settings, environment: Mapping[str, str]) -> Reranker | None:
    """Return the reranker that the settings name: it is loaded at its first use, or now if a snapshot is about to be taken.

    Raises:
        Backend: it cannot be loaded, and a snapshot is about to be taken of this environment.
    """
    place = settings.reranker
    if place is None:
        return None
    from handler.lazy_reranker import LazyReranker  # noqa: PLC0415 - only if there is one

    reranker = LazyReranker(lambda: _or_incident(lambda: _loaded_reranker(settings, place), "reranker"))
    if snapshot.is_taken(environment):
        reranker.score("The first run sets up memory", ["that belongs into the snapshot."], Options())
    return reranker


def _loaded_reranker(settings: Settings, place: ModelPlace) -> Reranker:
    from handler.embedding.cross_encoder import CrossEncoder  # noqa: PLC0415 - at the first use
    from handler.embedding.pairs import PairTokenization  # noqa: PLC0415 - as above
    from handler.reranker import CrossEncoderReranker  # noqa: PLC0415 - as above

    folder, manifest = model_store.open_model(place)
    encoder = CrossEncoder(folder, manifest, settings.threads, settings.kernels)
    tokenization = PairTokenization(Tokenization(folder, manifest.max_length))
    telemetry.log("reranker_loaded", processor=encoder.kernel_class, kernels=encoder.kernels or None, threads=settings.threads)
    return CrossEncoderReranker(settings, manifest, tokenization, encoder)


def _key_secret(settings: CacheSettings, environment: Mapping[str, str]) -> str | None:
    """Return the secret of the cache's keys: "" if the settings name none, None if it cannot be read. Without it, no table is used.

    Raises:
        Backend: the secret cannot be read, and a snapshot is about to be taken of this environment.
    """
    if not settings.key_secret_arn:
        return settings.key_secret
    try:
        return read_secret(settings.key_secret_arn)
    except Exception as error:
        telemetry.log("cache_key_not_read", error=type(error).__name__)
        if snapshot.is_taken(environment):
            msg = "The secret that CACHE_KEY_SECRET_ARN names cannot be read; the log says why"
            raise Backend(msg) from error
        return None


def _table(settings: CacheSettings, environment: Mapping[str, str]) -> Table:
    """Make the table that the settings name, with a client that is ready to call.

    The client connects in the init phase and before a snapshot, never during a request. Connecting on a second thread while the
    model loads is not faster (measured).
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


def _remote(table: Table, codec: Codec, settings: Settings, defer: Defer | None) -> Remote:
    if isinstance(table, NoTable):
        return MEMORY_ONLY
    # Importing the prices takes 5 ms, which a deployment without a table does not spend.
    from handler.cache.cost import ATTRIBUTES_BYTES, CostModel  # noqa: PLC0415
    from handler.cache.metrics import UsageMetrics  # noqa: PLC0415

    cost = CostModel(settings.memory_mb, codec.row_bytes + ATTRIBUTES_BYTES)
    return Remote(
        table,
        Policy(settings.cache.min_tokens),
        defer or (lambda work: work(settings.cache.budget_seconds)),
        UsageMetrics(cost, settings.cache.table).write,
    )


def load_keys(environment: Mapping[str, str]) -> Keys | None:
    """Load the keys of HTTP callers. Return None if no key is required (`AUTH=none`)."""
    settings = KeySettings.from_environment(environment)
    if not settings.requires_key:
        return None
    if settings.secret:
        keys = SecretKeys(partial(read_keys, settings.secret))
        snapshot.after_restore(environment, keys.renew)
        return keys
    if not settings.keys:
        telemetry.log("no_keys", reason="neither API_KEYS nor API_KEYS_SECRET is set, and AUTH is not none: no key is valid")
    return FixedKeys(settings.keys)


def lambda_function(make_handler: MakeHandler) -> Handler:
    """Make the handler that Lambda calls.

    Under Lambda, the function's own handler is made now, in the init phase. Elsewhere the first event makes it, so that importing a
    function has no effect.
    """
    loaded: Handler | None = None
    owner = os.getpid()
    loading = threading.Lock()

    def handler(event: Event, context: Context) -> object:
        nonlocal loaded, owner
        if loaded is None or owner != os.getpid():
            with loading:
                # A forked process has none of the threads that encode and write. It loads its own, or it would wait for ever.
                if loaded is None or owner != os.getpid():
                    loaded, owner = make_handler(os.environ, None), os.getpid()
        return loaded(event, context)

    if api := os.environ.get("AWS_LAMBDA_RUNTIME_API"):
        loaded = _load_under_lambda(make_handler, api)
        # Everything loaded so far is kept, so the garbage collector, off since handler/functions/__init__.py, need not scan it.
        gc.freeze()
        gc.enable()
    return handler


def _load_under_lambda(make_handler: MakeHandler, api: str) -> Handler:
    """Make a function's handler. Writes to a table are done after the response was sent, if the runtime allows that."""
    # On Managed Instances, several invocations run at the same time, and no extension may register for the event INVOKE.
    managed = os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == MANAGED_INSTANCES or count_processes(os.environ) > 1
    if managed or not os.environ.get("CACHE_TABLE"):
        return make_handler(os.environ, None)
    try:
        extension = RuntimeExtension.registered(api)
    except (OSError, HTTPException) as error:
        telemetry.log("no_extension", error=type(error).__name__)
        return make_handler(os.environ, None)
    loaded = make_handler(os.environ, extension.defer)
    extension.start()

    def handler(event: Event, context: Context) -> object:
        try:
            return loaded(event, context)
        finally:
            extension.finish_invocation(context.aws_request_id)

    return handler
