"""Who may call: Authorization: Bearer, and the routes that are open."""

import json
from collections.abc import Callable, Iterable, Iterator
from uuid import uuid4

import botocore.session
import pytest
from moto.server import ThreadedMotoServer

from events.dynamodb import LocalDynamoDB
from handler.bootstrap import load_keys
from handler.config import KeySettings
from handler.functions.api import make_handler
from handler.http.middleware import PAGE_PATHS
from handler.keys import REFRESH_S, UNKNOWN_KEY_REFRESH_S, FixedKeys, SecretKeys, versions_of
from handler.service import Service
from tests.conftest import INT8, Client, Reply, serve
from tests.contract.test_routes import event

REFUSED = (401, "Unauthorized", "Invalid credentials in Authorization header")
BODY = json.dumps({"inputs": "a"}).encode()


def authorized(client: Client, value: str, path: str = "/") -> Reply:
    """Post with an Authorization header."""
    return client.request("POST", path, BODY, authorization=value, content_type="application/json")


@pytest.fixture(scope="module")
def guarded(service: Service) -> Client:
    """An endpoint with two keys."""
    return Client(make_handler(service, load_keys({"API_KEYS": "one, two"})))


@pytest.mark.parametrize("value", ["Bearer one", "bearer two", "Bearer  one "])
def test_a_valid_key_may_call(guarded: Client, value: str) -> None:
    """Whichever of them."""
    assert authorized(guarded, value).status == 200


@pytest.mark.parametrize(
    "value", ["", "Bearer", "Bearer ", "Bearer three", "Basic one", "one", "Bearer one,Bearer one", "Bearer one two", "Bearer ONE"]
)
def test_a_missing_malformed_repeated_or_wrong_key_may_not(guarded: Client, value: str) -> None:
    """401, in the words of the contract."""
    assert authorized(guarded, value).error == REFUSED


def test_no_header_is_no_key(guarded: Client) -> None:
    """On unknown paths as well: nothing is told to strangers."""
    assert guarded.post({"inputs": "a"}).error == REFUSED
    assert guarded.get("/nothing").error == REFUSED
    assert guarded.get("/info").error == REFUSED
    assert guarded.request("DELETE", "/").error == REFUSED
    assert guarded.request("DELETE", "/").headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("name", ["alb", "rest_v1"])
@pytest.mark.parametrize(
    ("values", "status"), [(["Bearer one"], 200), (["Bearer one", "Bearer one"], 401), (["x", "Bearer one"], 401)]
)
def test_two_authorization_headers_are_refused_where_each_stands_alone(
    guarded: Client, name: str, values: list[str], status: int
) -> None:
    """A load balancer with multi-value headers, and a REST API, do not join them with a comma as an HTTP API does."""
    made = event(name)
    made["multiValueHeaders"] = {header: [value] for header, value in made["headers"].items()} | {"authorization": values}
    assert guarded.reply(made).status == status


@pytest.mark.parametrize("keys", [[""], [" \n"], []])
def test_an_empty_key_is_no_key(service: Service, keys: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A secret of white space lets no one in, and the log says so."""
    for store in (SecretKeys(lambda: keys), FixedKeys(keys)):
        assert not store.accepts("")
        client = Client(make_handler(service, store))
        assert [authorized(client, value).error for value in ("Bearer ", "Bearer", "bearer  ")] == [REFUSED] * 3
        assert client.post({"inputs": "a"}).error == REFUSED
    assert "no key is valid" in capsys.readouterr().err


def test_openai_s_routes_refuse_in_openai_s_form(guarded: Client) -> None:
    """The sentence is where its clients look for it."""
    reply = authorized(guarded, "Bearer three", "/v1/embeddings")
    assert (reply.status, reply.json["error"]["message"]) == (401, REFUSED[2])


@pytest.mark.parametrize("path", ["/", "/health", "/ping", "/try", "/docs", "/docs/swagger-ui.css", "/openapi.json"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_the_open_routes_need_no_key(guarded: Client, method: str, path: str) -> None:
    """Health, the pages, the documentation, and every OPTIONS."""
    assert guarded.request(method, path).status in {200, 204}


def test_a_deployment_that_says_nothing_lets_no_one_in(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    """Only AUTH=none opens it; the log says why it is closed."""
    closed = Client(make_handler(service, load_keys({})))
    assert authorized(closed, "Bearer ").error == REFUSED
    assert "no key is valid" in capsys.readouterr().err
    assert load_keys({"AUTH": "none"}) is None


class Store:
    """A secret's versions, which may fail to be read."""

    def __init__(self, *keys: str) -> None:
        self.keys: Iterable[str] = keys
        self.reads = 0
        self.fails = False

    def read(self) -> Iterable[str]:
        self.reads += 1
        if self.fails:
            raise ConnectionError
        return self.keys


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The time."""
    return Clock()


def test_an_empty_version_of_the_secret_does_not_close_the_other(clock: Clock) -> None:
    """Half way through a rotation."""
    keys = SecretKeys(lambda: ["", "before"], clock)
    assert (keys.accepts("before"), keys.accepts("")) == (True, False)


def test_a_secret_is_read_at_the_start_and_not_at_every_request(clock: Clock) -> None:
    """The hot path never asks the store."""
    store = Store("now", "before")
    keys = SecretKeys(store.read, clock)
    assert all(keys.accepts(key) for key in ("now", "before") * 50)
    assert store.reads == 1


def test_an_unknown_key_asks_once_and_then_not_before_a_while(clock: Clock) -> None:
    """A new key is known at once; guessing costs no more than a request to the store each 30 seconds."""
    store = Store("old")
    keys = SecretKeys(store.read, clock)
    store.keys = ("new", "old")
    assert not keys.accepts("new")
    clock.now += UNKNOWN_KEY_REFRESH_S
    assert keys.accepts("new")
    assert store.reads == 2
    assert not any(keys.accepts(f"guess {number}") for number in range(100))
    assert store.reads == 2


def test_a_key_that_was_taken_out_is_refused_within_minutes(clock: Clock) -> None:
    """The secret is read again in a request: what is done beside one is frozen with the environment."""
    store = Store("old")
    keys = SecretKeys(store.read, clock)
    store.keys = ("new",)
    clock.now += REFRESH_S
    assert not keys.accepts("old")
    assert keys.accepts("new")
    assert store.reads == 2


def test_while_the_store_fails_the_last_known_keys_stay_valid(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    """And the log says that it does, without a key in it."""
    store = Store("key")
    keys = SecretKeys(store.read, clock)
    store.fails = True
    clock.now += UNKNOWN_KEY_REFRESH_S
    assert not keys.accepts("other")
    assert keys.accepts("key")
    assert json.loads(capsys.readouterr().err) == {"event": "keys_not_read", "error": "ConnectionError"}


def test_a_store_that_fails_at_the_start_is_no_wrong_key(clock: Clock, service: Service) -> None:
    """424 until it answers, which is asked a second later: a client would take 401 for good."""
    store = Store("key")
    store.fails = True
    keys = SecretKeys(store.read, clock)
    client = Client(make_handler(service, keys))
    assert authorized(client, "Bearer key").error == (424, "Backend", "The API keys cannot be read; the log says why")
    store.fails = False
    clock.now += 1
    assert authorized(client, "Bearer key").status == 200


@pytest.fixture
def secrets_manager(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Secrets Manager's API over HTTP; called with a secret's versions, oldest first, it stores them."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL_SECRETS_MANAGER": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    SecretKeys(list).renew()  # over a new connection: another test's led to another server
    client = botocore.session.get_session().create_client("secretsmanager")

    def store(*versions: str) -> str:
        arn: str = client.create_secret(Name=f"keys-{uuid4()}", SecretString=versions[0])["ARN"]
        for version in versions[1:]:
            client.put_secret_value(SecretId=arn, SecretString=version)
        return arn

    yield store
    server.stop()


def test_the_current_and_the_previous_version_of_the_secret_are_valid(
    secrets_manager: Callable[..., str], service: Service
) -> None:
    """And no older one; a secret that was never rotated has one."""
    client = Client(make_handler(service, load_keys({"API_KEYS_SECRET": secrets_manager("oldest", "older", "newest")})))
    assert [authorized(client, f"Bearer {key}").status for key in ("newest", "older", "oldest")] == [200, 200, 401]
    assert versions_of(secrets_manager("only\n")) == {"only": ""}


def test_a_secret_can_hold_several_keys_each_revocable_by_itself(
    secrets_manager: Callable[..., str], service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of an object only the current version counts, or else the previous one would keep a revoked key valid. Names are logged."""
    before, after = json.dumps({"search": "s-key", "old": "o-key"}), json.dumps({"search": "s-key", "new": "n-key", "none": ""})
    client = Client(make_handler(service, load_keys({"API_KEYS_SECRET": secrets_manager(before, after)})))
    keys = ("s-key", "n-key", "o-key", "", before, after)
    assert [authorized(client, f"Bearer {key}").status for key in keys] == [200, 200, 401, 401, 401, 401]
    logged = capsys.readouterr().err
    assert [json.loads(line).get("caller") for line in logged.splitlines()] == ["search", "new", None, None, None, None]
    assert "-key" not in logged


@pytest.mark.parametrize("value", ["{}", '{"a": ""}', '{"a": 1, "b": null}', " "])
def test_a_secret_without_a_usable_key_lets_no_one_in(secrets_manager: Callable[..., str], service: Service, value: str) -> None:
    """Neither with nothing nor with the text of the secret."""
    client = Client(make_handler(service, load_keys({"API_KEYS_SECRET": secrets_manager(value)})))
    assert [authorized(client, f"Bearer {key}").status for key in ("", value)] == [401, 401]


def test_the_cache_s_key_is_read_from_its_secret(secrets_manager: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    """So that it stands in no configuration; where it cannot be read, requests are answered without the table."""
    arn = secrets_manager("the cache's key")
    with LocalDynamoDB() as dynamodb, pytest.MonkeyPatch.context() as environment:
        for name, setting in dynamodb.environment.items():
            environment.setenv(name, setting)
        settings = {"CACHE_TABLE": dynamodb.table, "CACHE_MEMORY_MB": "0", "CACHE_BUDGET_MS": "10000"}
        ways = ({"CACHE_KEY_SECRET": "the cache's key"}, {"CACHE_KEY_SECRET_ARN": arn}, {"CACHE_KEY_SECRET_ARN": arn + "-gone"})
        clients = [Client(make_handler(serve(INT8, **settings, **way), None)) for way in ways]
        replies = [client.post({"inputs": "a"}) for client in clients]
    assert [reply.headers["x-compute-type"] for reply in replies] == ["cpu", "cache", "cpu"]
    assert "cache_key_not_read" in capsys.readouterr().err


@pytest.mark.parametrize("path", sorted(PAGE_PATHS))
def test_pages_can_be_closed(service: Service, path: str) -> None:
    """They then require a key, as everything but health does."""
    closed = Client(make_handler(service, load_keys({"API_KEYS": "one"}), pages=False))
    assert closed.get(path).status == 401
    assert closed.request("GET", path, authorization="Bearer one").status == 200
    assert closed.get("/health").status == 200
    assert KeySettings.from_environment({"PAGES": "false"}).pages is False


@pytest.mark.parametrize("path", ["//docs/swagger-ui-bundle.js", "/docs/swagger-ui-bundle.js/", "/docs//swagger-ui.css"])
def test_a_page_requires_no_key_only_under_the_path_whose_rate_is_limited(guarded: Client, path: str) -> None:
    """The HTTP API counts paths as they are sent; another spelling would be let through at the rate of the API."""
    assert guarded.get(path).status == 401


@pytest.mark.parametrize("page", ["try", "docs"])
def test_a_page_with_a_slash_behind_it_leads_to_the_page(service: Service, guarded: Client, page: str) -> None:
    """By a relative address, for a stage may stand before it. Where pages are closed it requires a key like them."""
    reply = guarded.get(f"/{page}/")
    assert (reply.status, reply.headers["location"], reply.body) == (308, f"../{page}", b"")
    closed = Client(make_handler(service, load_keys({"API_KEYS": "one"}), pages=False))
    assert closed.get(f"/{page}/").status == 401


def test_a_file_of_a_page_is_sent_once_to_each_browser(guarded: Client) -> None:
    """It is kept, and asked for by its ETag after that."""
    first = guarded.get("/docs/swagger-ui-bundle.js")
    assert "immutable" in first.headers["cache-control"]
    again = guarded.request("GET", "/docs/swagger-ui-bundle.js", if_none_match=first.headers["etag"])
    assert (again.status, again.body) == (304, b"")


def test_keys_are_kept_as_hashes() -> None:
    """What is in memory is no key."""
    assert "a-key" not in repr(vars(FixedKeys(["a-key"])))
