"""Each request writes one line to the log, from which CloudWatch extracts metrics."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from handler.errors import Backend
from handler.functions.api import make_handler
from handler.service import Service
from tests.conftest import Client, serve
from tests.secrecy import overheard


@dataclass(frozen=True)
class Context:
    """The attributes of Lambda's context that the line contains."""

    aws_request_id: str = "an-id"
    function_name: str = "embeddings-api"

    def get_remaining_time_in_millis(self) -> int:
        """Return more time than a request needs."""
        return 29_000


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Return the lines that were logged."""
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_request_has_one_line_with_its_counts_and_times(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    """The route is the pattern, because a path may contain anything."""
    client.post(
        {"inputs": ["One text of two.", "And the other one."], "use_cache": False}, "/models/sentence-transformers/all-MiniLM-L6-v2"
    )
    (line,) = lines(capsys)
    assert line["event"] == "request"
    assert line["route"] == "/models/{model:path}"
    assert (line["method"], line["status"], line["texts"], line["truncated"]) == ("POST", 200, 2, 0)
    assert {"tokens", "hits", "misses", "ms", "tokenization_us", "inference_us", "cold_start", "request_id"} <= line.keys()


def test_a_refused_request_has_a_line_too_with_nothing_of_the_request(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    """A path that no route matches is logged as `none`."""
    client.post({"inputs": ["A text that is fine.", ""]})
    client.get("/nothing/of/the/kind")
    first, second = lines(capsys)
    assert (first["route"], first["status"]) == ("/", 400)
    assert (second["route"], second["status"]) == ("none", 404)


def test_under_lambda_the_line_contains_metrics(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    """A direct invocation writes such a line too."""
    overheard(make_handler(service, None))({"inputs": "A text for the metrics."}, Context())
    (line,) = lines(capsys)
    assert (line["request_id"], line["route"], line["FunctionName"]) == ("an-id", "direct", "embeddings-api")
    (definition,) = line["_aws"]["CloudWatchMetrics"]
    assert definition["Dimensions"] == [["FunctionName"]]
    assert {metric["Name"]: line[metric["Name"]] for metric in definition["Metrics"]} == {
        "Requests": 1, "ServerErrors": 0, "Tokens": line["tokens"], "ColdStarts": line["ColdStarts"],
    }  # fmt: skip


def test_a_failure_that_the_caller_did_not_cause_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Lambda's own metric Errors stays 0, because a response 424 is not a crash."""
    function = overheard(make_handler(serve(tmp_path), None))
    with pytest.raises(Backend):
        function({"inputs": "A text that no model takes."}, Context())
    assert [line["ServerErrors"] for line in lines(capsys) if line["event"] == "request"] == [1]
