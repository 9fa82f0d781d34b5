"""The pipeline and the search of one deployment agree on the index and on the model."""

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from handler.bootstrap import Handler
from handler.functions.pipeline import from_environment
from handler.service import Options, Service
from handler.vector_index import MODEL_TAG, model_of
from tests.conftest import INT8, ROOT, ClientOf, serve
from tests.search.conftest import FolderOf, MakeIndex
from tests.secrecy import overheard

TEXT = "Today is a sunny day and I will get some ice cream."


def pipeline(service: Service, **environment: str) -> Handler:
    """Make the pipeline function of these settings."""
    return overheard(from_environment(environment, service))


def sqs(*records: dict[str, Any]) -> dict[str, Any]:
    """Make an event of a queue with these records."""
    return {
        "Records": [
            {"messageId": str(place), "eventSource": "aws:sqs", "body": json.dumps(record), "attributes": {}}
            | {"eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:texts", "receiptHandle": "r"}
            for place, record in enumerate(records)
        ]
    }


def test_what_the_pipeline_writes_the_search_finds(make_index: MakeIndex, service: Service, client_of: ClientOf) -> None:
    """The first write names the model in the index's tag, and the search reads the tag."""
    index = make_index()
    settings = {"SINK": index.arn, "SEARCH_INDEX_ARN": index.arn}
    event = sqs({"id": "ice", "inputs": TEXT, "text": TEXT}, {"id": "tax", "inputs": "Taxes on income are due in May."})
    assert pipeline(service, **settings)(event, None) == {"batchItemFailures": []}
    assert index.tags == {MODEL_TAG: model_of(service.manifest)}
    (best, other) = client_of(INT8, SEARCH_INDEX_ARN=index.arn).post({"query": "When will you eat ice cream?"}, "/search").json
    assert (best["id"], best["metadata"], other["id"], other["metadata"]) == ("ice", {"text": TEXT}, "tax", {})


def test_records_get_the_model_s_prompt_for_documents_unless_they_name_one(
    make_index: MakeIndex, client_of: ClientOf, folder_of: FolderOf
) -> None:
    """A query gets the prompt for queries. Without a search, records get none."""
    folder = folder_of(prompts={"query": "query: ", "passage": "passage: "})
    service, index = serve(folder), make_index()
    settings = {"SINK": index.arn, "SEARCH_INDEX_ARN": index.arn, "CHUNK_TOKENS": "64"}
    event = sqs({"id": "a", "inputs": TEXT}, {"id": "b", "inputs": TEXT, "prompt_name": "query"})
    assert pipeline(service, **settings)(event, None) == {"batchItemFailures": []}
    assert pipeline(service, SINK=index.arn)(sqs({"id": "c", "inputs": TEXT}), None) == {"batchItemFailures": []}
    stored = index.client.get_vectors(indexArn=index.arn, keys=["a#0", "b#0", "c"], returnData=True)["vectors"]
    found = {one["key"]: np.array(one["data"]["float32"], np.float32).tobytes() for one in stored}
    for key, prompt in (("a#0", "passage"), ("b#0", "query"), ("c", None)):
        assert found[key] == service.embed([TEXT], Options(prompt_name=prompt)).vectors[0].tobytes()
    best = client_of(folder, SEARCH_INDEX_ARN=index.arn).post({"query": TEXT, "k": 1}, "/search").json[0]
    assert (best["id"], best["score"]) == ("b#0", pytest.approx(1, abs=1e-5))


@pytest.mark.parametrize("dimension", [256, 768])
def test_a_pipeline_whose_index_does_not_fit_the_search_refuses_every_event(
    make_index: MakeIndex, service: Service, capfd: pytest.CaptureFixture[str], dimension: int
) -> None:
    """It says why when it starts, and at each event. So no message is acknowledged."""
    index = make_index(dimension)
    handler = from_environment({"SINK": index.arn, "SEARCH_INDEX_ARN": index.arn}, service)
    (line,) = (line for line in map(json.loads, capfd.readouterr().err.splitlines()) if line["event"] == "settings_refused")
    assert line["reason"].startswith(f"The index passages takes vectors of {dimension} numbers, and those of the model ")
    with pytest.raises(Exception, match=f"^The index passages takes vectors of {dimension} numbers"):
        handler(sqs({"inputs": TEXT}), None)


def test_a_pipeline_that_writes_into_another_index_than_the_search_reads_refuses_every_event(
    make_index: MakeIndex, service: Service
) -> None:
    """The sentence has both."""
    written, searched = make_index().arn, make_index().arn
    handler = from_environment({"SINK": written, "SEARCH_INDEX_ARN": searched}, service)
    with pytest.raises(Exception, match=f"^SINK is the index {written}, and SEARCH_INDEX_ARN is {searched}: "):
        handler(sqs({"inputs": TEXT}), None)


def test_a_function_without_an_index_never_imports_the_search() -> None:
    """Not even botocore: no cold start pays for a search that the deployment does not have."""
    program = f"""
import json, sys
from handler.bootstrap import load_service
from handler.functions.api import make_handler
event = json.load(open("events/http_api_v2.json"))
assert make_handler(load_service({{"MODEL_DIR": {str(INT8)!r}}}), None)(event, None)["statusCode"] == 200
print(sorted({{"handler.search", "handler.vector_index", "handler.http.search", "botocore"}} & sys.modules.keys()))
"""
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
