"""template.yaml and the result of `make build` are checked without Docker, network or an AWS account."""

import filecmp
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import cache_from_source
from pathlib import Path

import pytest
import yaml

from events.dynamodb import LocalDynamoDB
from events.emulator import Emulator
from tests.conftest import AWS, LocalS3
from tests.infra.commands import run

ROOT = Path(__file__).parents[2]
SAM = ROOT / "build/sam"

# Prints the environment of all functions and the properties of the table, parameters at their defaults.
CACHE = """
import json, sys
from samtranslator.yaml_helper import yaml_parse
template = yaml_parse(sys.stdin.read())
def resolved(value):
    match value:
        case {"Ref": name}:
            return template["Parameters"].get(name, {"Default": name})["Default"]
        case {"Fn::If": [_, *branches]}:  # on a parameter that is empty: its other branch is a plain one, or a parameter
            return next(branch for branch in map(resolved, branches) if isinstance(branch, str))
    return value
variables = template["Globals"]["Function"]["Environment"]["Variables"]
table = template["Resources"]["CacheTable"]["Properties"]
print(json.dumps([{name: str(resolved(value)) for name, value in variables.items()}, table]))
"""


def size(folder: Path) -> int:
    """Return the bytes of a folder's files, which is how Lambda measures it."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


type Built = Callable[..., Emulator]
"""Starts the built function with environment variables."""


@pytest.fixture
def built(artefact: Path, opt: Path, runtime_client: Path, tmp_path: Path) -> Built:
    """Provide the built function under AWS's Runtime Interface Emulator, in an empty environment."""
    task = artefact / "ApiFunction"
    environment = {
        "PATH": os.defpath,
        "HOME": str(tmp_path),
        "PYTHONDONTWRITEBYTECODE": "1",  # Lambda's folders are read-only
        "MODEL_DIR": str(opt / "model"),
        "OPENBLAS_NUM_THREADS": "1",
        "API_KEYS": "a-key",
    }
    return lambda **variables: Emulator(
        cwd=task,
        env=environment | variables,
        python=f"{sys.base_prefix}/bin/python3.13",
        pythonpath=[task, opt / "python", runtime_client],
        timeout_seconds=29,
    )


def test_the_template_is_valid() -> None:
    """`sam validate --lint` finds nothing in it. If npm is installed, asl-validator finds nothing in the state machine."""
    printed = run("make", "validate")
    assert "is a valid SAM Template" in printed
    if shutil.which("npm"):
        assert "SKIPPED" not in printed


def test_a_first_deployment_takes_return_for_every_answer(tmp_path: Path) -> None:
    """`sam deploy --guided` asks for all parameters, and then calls AWS: here at a port where nobody listens."""
    shutil.copy(ROOT / "samconfig.toml", tmp_path)  # which is where the answers are written
    asked = subprocess.run(
        [SAM / "bin/sam", "deploy", "--guided", "--template", "template.yaml", "--config-file", tmp_path / "samconfig.toml"],
        cwd=ROOT,
        env=os.environ | AWS | {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1", "SAM_CLI_TELEMETRY": "0"},
        input="\n" * 100,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=120,
        check=False,
    ).stdout
    template = yaml.load((ROOT / "template.yaml").read_text(), yaml.BaseLoader)  # noqa: S506 - makes nothing but strings, lists and dicts
    assert sorted(re.findall(r"Parameter (\w+) \[", asked)) == sorted(template["Parameters"])
    assert "Looking for resources needed for deployment" in asked, asked


def test_sam_build_makes_the_functions_and_both_layers(artefact: Path) -> None:
    """`sam build` needs no Docker, and its result is complete."""
    assert {path.name for path in artefact.iterdir()} == {
        "template.yaml", "ApiFunction", "PipelineFunction", "InstancesFunction", "RuntimeLayer", "ModelLayer",
    }  # fmt: skip
    for function in ("api", "pipeline"):
        assert (artefact / f"{function.capitalize()}Function/handler/functions/{function}.py").is_file()
        assert not list((artefact / f"{function.capitalize()}Function").rglob("*.md"))
    manifest = json.loads((artefact / "ModelLayer/model/manifest.json").read_text())
    assert {path.name for path in (artefact / "ModelLayer/model").iterdir()} == {"manifest.json", *manifest["files"]}


def test_a_model_in_the_layer_is_pinned_by_the_build_that_put_it_there(artefact: Path) -> None:
    """A parameter would keep the old digest when another model is deployed, and every request would fail."""
    variables = yaml.safe_load((artefact / "template.yaml").read_text())["Globals"]["Function"]["Environment"]["Variables"]
    digest = hashlib.sha256((artefact / "ModelLayer/model/manifest.json").read_bytes()).hexdigest()
    assert variables["MODEL_SHA256"] == {"Fn::If": ["ModelInLayer", digest, {"Ref": "ModelSha256"}]}
    assert 'MODEL_SHA256: !If [ModelInLayer, "", !Ref ModelSha256]' in (ROOT / "template.yaml").read_text()


def test_the_layers_keep_their_budgets(artefact: Path) -> None:
    """The runtime layer has at most 125 MB with its bytecode, the default model at most 25 MB.

    The function grows by dialects and sinks that no cold start imports: 1.65 MB now, and 2 MB are 0.8 % of Lambda's 262 MB.
    """
    assert size(artefact / "RuntimeLayer") <= 125e6
    assert size(artefact / "ModelLayer") <= 25e6
    assert size(artefact / "PipelineFunction") <= 2e6


def test_a_function_and_its_layers_are_within_lambdas_limit(artefact: Path) -> None:
    """The limit is 262,144,000 bytes unzipped, for all of them together."""
    layers = size(artefact / "RuntimeLayer") + size(artefact / "ModelLayer")
    for function in ("ApiFunction", "PipelineFunction"):
        assert 0 < layers + size(artefact / function) <= 262_144_000


def test_every_module_is_compiled(artefact: Path) -> None:
    """A cold start must compile nothing, because Lambda cannot keep the result."""
    modules = [
        path for folder in ("RuntimeLayer/python", "ApiFunction", "PipelineFunction") for path in (artefact / folder).rglob("*.py")
    ]
    assert modules
    assert [path for path in modules if not Path(cache_from_source(path)).is_file()] == []


def test_the_runtime_layer_is_the_same_bytes_wherever_it_is_built(artefact: Path, tmp_path: Path) -> None:
    """A second build in another folder differs in no file."""
    run("make", "-f", "layers/runtime/Makefile", "build-RuntimeLayer", f"ARTIFACTS_DIR={tmp_path}")
    first, second = artefact / "RuntimeLayer", tmp_path
    names = {str(path.relative_to(first)) for path in first.rglob("*") if path.is_file()}
    assert names == {str(path.relative_to(second)) for path in second.rglob("*") if path.is_file()}
    assert filecmp.cmpfiles(first, second, names, shallow=False)[1:] == ([], [])


def test_the_built_function_answers_an_event(built: Built) -> None:
    """It needs only its own folders and Lambda's runtime client."""
    event = json.loads((ROOT / "events/http_api_v2.json").read_text())
    with built() as function:
        refused = json.loads(function.invoke(json.dumps(event).encode()))
        assert refused.get("statusCode") == 401, function.log
        event["headers"]["authorization"] = "Bearer a-key"
        reply = json.loads(function.invoke(json.dumps(event).encode()))
        assert reply.get("statusCode") == 200, function.log
        assert [len(vector) for vector in json.loads(reply["body"])] == [384]


def test_the_built_function_has_its_pages_and_their_files(built: Built) -> None:
    """A browser that has no key yet can open them."""
    with built() as function:
        for path, inside in {
            "/try": "<h1>Text in, vectors out.</h1>",
            "/docs": "swagger-ui-bundle.js",
            "/docs/swagger-ui-bundle.js": "SwaggerUIBundle",
            "/docs/swagger-ui.css": ".swagger-ui",
        }.items():
            event = json.loads((ROOT / "events/http_api_v2.json").read_text()) | {"rawPath": path, "body": ""}
            event["requestContext"]["http"] |= {"method": "GET", "path": path}
            reply = json.loads(function.invoke(json.dumps(event).encode()))
            assert reply.get("statusCode") == 200, function.log
            assert inside in reply["body"]


def test_one_request_leaves_a_row_that_the_next_environment_finds(built: Built) -> None:
    """The function has the template's settings and table, and the part of botocore that is in the layer."""
    variables, table = json.loads(run(SAM / "bin/python", "-c", CACHE, stdin=(ROOT / "template.yaml").read_text()))
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires", "Enabled": True}
    event = json.loads((ROOT / "events/http_api_v2.json").read_text())
    event["headers"]["authorization"] = "Bearer a-key"
    replies = []
    with LocalDynamoDB(variables["CACHE_TABLE"]) as dynamodb:
        described = dynamodb.client().describe_table(TableName=dynamodb.table)["Table"]
        assert {name: described[name] for name in ("KeySchema", "AttributeDefinitions")}.items() <= table.items()
        for _ in range(2):
            with built(**{name: value for name, value in variables.items() if name != "MODEL_DIR"}, **aws(dynamodb)) as function:
                replies.append(json.loads(function.invoke(json.dumps(event).encode())))
                assert replies[-1].get("statusCode") == 200, function.log
    assert [reply["headers"]["x-compute-type"] for reply in replies] == ["cpu", "cache"]
    assert replies[0]["body"] == replies[1]["body"]


def test_the_built_function_takes_its_model_from_s3(built: Built, artefact: Path, s3: LocalS3, tmp_path: Path) -> None:
    """The function has the part of botocore that is in the layer, and no model layer."""
    uri = s3.upload(artefact / "ModelLayer/model", "built")
    event = json.loads((ROOT / "events/http_api_v2.json").read_text())
    event["headers"]["authorization"] = "Bearer a-key"
    with built(**s3.environment, MODEL_DIR="/nowhere", MODEL_URI=uri, MODEL_TMP=str(tmp_path / "tmp")) as function:
        reply = json.loads(function.invoke(json.dumps(event).encode()))
        assert reply.get("statusCode") == 200, function.log
        assert [len(vector) for vector in json.loads(reply["body"])] == [384]


def aws(dynamodb: LocalDynamoDB) -> dict[str, str]:
    """Return the variables that Lambda itself sets, and the address of DynamoDB."""
    return {name: value for name, value in dynamodb.environment.items() if name.startswith("AWS_")}
