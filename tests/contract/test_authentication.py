"""Keys in `Authorization: Bearer`, and the routes that require none."""

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
from handler.http.routes import PAGE_PATHS
from handler.keys import REFRESH_SECONDS, UNKNOWN_KEY_REFRESH_SECONDS, FixedKeys, SecretKeys, read_keys
from handler.service import Service
from tests.conftest import INT8, Client, Reply, serve
from tests.contract.example_requests import event

REFUSED = (401, "Unauthorized", "Invalid credentials in Authorization header")
NO_KEY = (
    401,
    "Unauthorized",
    "The request has no API key: send it in the header `Authorization: Bearer KEY`, `api-key: KEY` or `x-api-key: KEY`",
)
BODY = json.dumps({"inputs": "a"}).encode()


def authorized(client: Client, value: str, path: str = "/") -> Reply:
    """Send a POST request with an Authorization header."""
    return client.request("POST", path, BODY, authorization=value, content_type="application/json")


@pytest.fixture(scope="module")
def guarded(service: Service) -> Client:
    """Make a client of an endpoint with two keys."""
    return Client(make_handler(service, load_keys({"API_KEYS": "one, two"})))


@pytest.mark.parametrize("value", ["Bearer one", "bearer two", "Bearer  one "])
def test_a_valid_key_is_accepted(guarded: Client, value: str) -> None:
    """Each of several keys is valid."""
    assert authorized(guarded, value).status == 200


@pytest.mark.parametrize(
    "value", ["Bearer three", "Basic one", "one", "Bearer one,Bearer one", "Bearer one two", "Bearer ONE", "Bearerone", "Basic"]
)
def test_a_malformed_repeated_or_wrong_key_is_refused(guarded: Client, value: str) -> None:
    """The response is 401 with the sentence of the contract."""
    assert authorized(guarded, value).error == REFUSED


@pytest.mark.parametrize("value", ["", " ", "Bearer", "Bearer ", "bearer  "])
def test_a_header_without_a_key_is_answered_by_the_names_of_the_headers(guarded: Client, value: str) -> None:
    """Clients that are given an empty key send one."""
    assert authorized(guarded, value).error == NO_KEY
    assert guarded.request("POST", "/", BODY, authorization=value, api_key="", x_api_key=" ").error == NO_KEY


@pytest.mark.parametrize("name", ["api_key", "x_api_key"])
def test_a_key_may_stand_in_a_header_of_its_own(service: Service, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Azure's clients send `api-key`. The log has no key, whichever header has it."""
    client = Client(make_handler(service, FixedKeys(["a-secret-key"])))
    assert client.request("POST", "/", BODY, **{name: "a-secret-key"}).status == 200
    assert client.request("POST", "/", BODY, **{name: "another-secret-key"}).error == REFUSED
    assert client.request("POST", "/", BODY, **{name: "Bearer a-secret-key"}).error == REFUSED
    assert "secret-key" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"authorization": "Bearer one", "x_api_key": "of a usage plan"}, 200),
        ({"authorization": "AWS4-HMAC-SHA256 Credential=…", "x_api_key": "one"}, 200),
        ({"authorization": "Bearer unused", "api_key": "two"}, 200),
        ({"authorization": "Bearer three", "api_key": "four", "x_api_key": "five"}, 401),
        ({"authorization": "one", "x_api_key": ""}, 401),
        ({"x_api_key": "one,one"}, 401),
    ],
)
def test_one_valid_key_is_enough(guarded: Client, headers: dict[str, str], status: int) -> None:
    """API Gateway's usage plans use `x-api-key`, and AWS's signatures use `Authorization`."""
    assert guarded.request("POST", "/", BODY, **headers).status == status


def test_no_header_is_no_key(guarded: Client) -> None:
    """Unknown paths require a key too, so that nobody without one learns which paths exist."""
    assert guarded.post({"inputs": "a"}).error == NO_KEY
    assert guarded.get("/nothing").error == NO_KEY
    assert guarded.get("/info").error == NO_KEY
    assert guarded.request("DELETE", "/").error == NO_KEY
    assert guarded.request("DELETE", "/").headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("name", ["alb", "rest_v1"])
@pytest.mark.parametrize(
    ("values", "status"), [(["Bearer one"], 200), (["Bearer one", "Bearer one"], 401), (["x", "Bearer one"], 401)]
)
def test_two_authorization_headers_are_refused(guarded: Client, name: str, values: list[str], status: int) -> None:
    """Load balancers with multi-value headers and REST APIs send both; an HTTP API joins them with a comma."""
    made = event(name)
    made["multiValueHeaders"] = {header: [value] for header, value in made["headers"].items()} | {"authorization": values}
    assert guarded.reply(made).status == status


@pytest.mark.parametrize("keys", [[""], [" \n"], []])
def test_an_empty_key_is_no_key(service: Service, keys: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A secret of white space makes no key valid, and the log says so."""
    for store in (SecretKeys(lambda: keys), FixedKeys(keys)):
        assert not store.accepts("")
        client = Client(make_handler(service, store))
        assert [authorized(client, value).error for value in ("Bearer ", "Bearer", "bearer  ")] == [NO_KEY] * 3
        assert client.post({"inputs": "a"}).error == NO_KEY
    assert "no key is valid" in capsys.readouterr().err


def test_openai_s_routes_refuse_in_openai_s_form(guarded: Client) -> None:
    """OpenAI's clients read the sentence in `error.message`."""
    reply = authorized(guarded, "Bearer three", "/v1/embeddings")
    assert (reply.status, reply.json["error"]["message"]) == (401, REFUSED[2])


@pytest.mark.parametrize("path", ["/", "/health", "/ping", "/try", "/docs", "/docs/swagger-ui.css", "/openapi.json"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_health_pages_and_options_require_no_key(guarded: Client, method: str, path: str) -> None:
    """The table of routes says so for each path; OPTIONS requires no key on any path."""
    assert guarded.request(method, path).status in {200, 204}


def test_without_settings_every_request_is_refused(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    """Only AUTH=none removes the keys; the log says that no key is valid."""
    closed = Client(make_handler(service, load_keys({})))
    assert authorized(closed, "Bearer x").error == REFUSED
    assert "no key is valid" in capsys.readouterr().err
    assert load_keys({"AUTH": "none"}) is None


class Store:
    """The versions of a secret; reading them can fail."""

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
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Make a clock that does not move by itself."""
    return Clock()


def test_an_empty_version_of_the_secret_does_not_invalidate_the_other(clock: Clock) -> None:
    """A rotation can leave one version empty for a while."""
    keys = SecretKeys(lambda: ["", "before"], clock)
    assert (keys.accepts("before"), keys.accepts("")) == (True, False)


def test_a_secret_is_read_at_the_start_and_not_at_every_request(clock: Clock) -> None:
    """A request must not wait for Secrets Manager."""
    store = Store("now", "before")
    keys = SecretKeys(store.read, clock)
    assert all(keys.accepts(key) for key in ("now", "before") * 50)
    assert store.reads == 1


def test_an_unknown_key_makes_the_secret_be_read_again_but_not_often(clock: Clock) -> None:
    """A new key is valid at once; guessing keys costs at most one read in 30 seconds."""
    store = Store("old")
    keys = SecretKeys(store.read, clock)
    store.keys = ("new", "old")
    assert not keys.accepts("new")
    clock.now += UNKNOWN_KEY_REFRESH_SECONDS
    assert keys.accepts("new")
    assert store.reads == 2
    assert not any(keys.accepts(f"guess {number}") for number in range(100))
    assert store.reads == 2


def test_a_removed_key_is_refused_within_minutes(clock: Clock) -> None:
    """The secret is read during a request, because Lambda freezes the environment between requests."""
    store = Store("old")
    keys = SecretKeys(store.read, clock)
    store.keys = ("new",)
    clock.now += REFRESH_SECONDS
    assert not keys.accepts("old")
    assert keys.accepts("new")
    assert store.reads == 2


def test_the_last_known_keys_stay_valid_if_the_secret_cannot_be_read(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    """The log says that reading failed, and has no key in it."""
    store = Store("key")
    keys = SecretKeys(store.read, clock)
    store.fails = True
    clock.now += UNKNOWN_KEY_REFRESH_SECONDS
    assert not keys.accepts("other")
    assert keys.accepts("key")
    assert json.loads(capsys.readouterr().err) == {"event": "keys_not_read", "error": "ConnectionError"}


def test_a_secret_that_was_never_read_gives_424_and_not_401(clock: Clock, service: Service) -> None:
    """A client would not retry after 401. The secret is read again a second later."""
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
    """Serve Secrets Manager's API by HTTP; returns a function that stores a secret's versions, oldest first."""
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
    """Older versions are not valid. A secret that was never rotated has only one version."""
    client = Client(make_handler(service, load_keys({"API_KEYS_SECRET": secrets_manager("oldest", "older", "newest")})))
    assert [authorized(client, f"Bearer {key}").status for key in ("newest", "older", "oldest")] == [200, 200, 401]
    assert read_keys(secrets_manager("only\n")) == {"only": ""}


def test_a_secret_can_hold_several_keys_each_revocable_by_itself(
    secrets_manager: Callable[..., str], service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only the current version of an object counts: the previous one would keep a revoked key valid. Names are logged."""
    before, after = json.dumps({"search": "s-key", "old": "o-key"}), json.dumps({"search": "s-key", "new": "n-key", "none": ""})
    client = Client(make_handler(service, load_keys({"API_KEYS_SECRET": secrets_manager(before, after)})))
    keys = ("s-key", "n-key", "o-key", "", before, after)
    assert [authorized(client, f"Bearer {key}").status for key in keys] == [200, 200, 401, 401, 401, 401]
    logged = capsys.readouterr().err
    assert [json.loads(line).get("caller") for line in logged.splitlines()] == ["search", "new", None, None, None, None]
    assert "-key" not in logged


@pytest.mark.parametrize("value", ["{}", '{"a": ""}', '{"a": 1, "b": null}', " "])
def test_a_secret_without_a_usable_key_makes_no_key_valid(
    secrets_manager: Callable[..., str], service: Service, value: str
) -> None:
    """Neither an empty key nor the text of the secret is valid."""
    client = Client(make_handler(service, load_keys({"API_KEYS_SECRET": secrets_manager(value)})))
    assert [authorized(client, f"Bearer {key}").status for key in ("", value)] == [401, 401]


def test_the_cache_s_key_is_read_from_its_secret(secrets_manager: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    """No configuration contains the key. If it cannot be read, requests are served without the table."""
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
def test_pages_require_a_key_if_the_deployment_closes_them(service: Service, path: str) -> None:
    """Then only the health of the endpoint requires no key."""
    closed = Client(make_handler(service, load_keys({"API_KEYS": "one"}), pages=False))
    assert closed.get(path).status == 401
    assert closed.request("GET", path, authorization="Bearer one").status == 200
    assert closed.get("/health").status == 200
    assert KeySettings.from_environment({"PAGES": "false"}).pages is False


@pytest.mark.parametrize("path", ["//docs/swagger-ui-bundle.js", "/docs/swagger-ui-bundle.js/", "/docs//swagger-ui.css"])
def test_a_page_requires_no_key_only_under_the_path_whose_rate_is_limited(guarded: Client, path: str) -> None:
    """The HTTP API counts paths as they are sent, and would not limit the rate of another spelling."""
    assert guarded.get(path).status == 401


@pytest.mark.parametrize("page", ["try", "docs"])
def test_a_page_s_path_with_a_slash_at_the_end_redirects_to_the_page(service: Service, guarded: Client, page: str) -> None:
    """The address is relative, because a stage may stand before it. If pages are closed, it requires a key too."""
    reply = guarded.get(f"/{page}/")
    assert (reply.status, reply.headers["location"], reply.body) == (308, f"../{page}", b"")
    closed = Client(make_handler(service, load_keys({"API_KEYS": "one"}), pages=False))
    assert closed.get(f"/{page}/").status == 401


def test_a_browser_loads_a_file_of_a_page_once(guarded: Client) -> None:
    """The browser keeps the file, and asks for it by its ETag later."""
    first = guarded.get("/docs/swagger-ui-bundle.js")
    assert "immutable" in first.headers["cache-control"]
    again = guarded.request("GET", "/docs/swagger-ui-bundle.js", if_none_match=first.headers["etag"])
    assert (again.status, again.body) == (304, b"")


def test_keys_are_kept_as_hashes() -> None:
    """Memory must not contain a key."""
    assert "a-key" not in repr(vars(FixedKeys(["a-key"])))
