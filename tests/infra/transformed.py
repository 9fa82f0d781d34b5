"""Transform template.yaml with SAM's own translator, as CloudFormation does. The translator runs in SAM's environment."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from tests.conftest import ROOT

# Its arguments are the template's path and a list of pairs: the names of the folders' uploads, and parameters.
TRANSFORM = """
import copy, json, sys
from types import SimpleNamespace
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse
source, transformed = yaml_parse(open(sys.argv[1]).read()), []
for uploaded, parameters in json.loads(sys.argv[2]):
    template = copy.deepcopy(source)
    template["Globals"]["Function"]["CodeUri"] = "s3://uploads/" + uploaded["handler/"]
    for resource in template["Resources"].values():
        if "ContentUri" in resource["Properties"]:
            resource["Properties"]["ContentUri"] = "s3://uploads/" + uploaded[resource["Properties"]["ContentUri"]]
    transformed.append(transform(template, parameters, SimpleNamespace(load=dict)))
print(json.dumps(transformed))
"""
UPLOADED = {"handler/": "code", "layers/runtime/": "runtime", "layers/model/": "model"}
"""The name of each folder's upload. `sam deploy` names an upload by the digest of its content."""

type Template = dict[str, Any]


def transformed(**parameters: str) -> Template:
    """Return the transformed template for some parameters."""
    (template,) = transformed_each((UPLOADED, parameters))
    return template


def transformed_each(*given: tuple[Mapping[str, str], Mapping[str, str]]) -> list[Template]:
    """Return a template for each pair of uploads and parameters. One process makes all: its imports take as long as 40."""
    templates: list[Template] = json.loads(_printed(json.dumps(given)))
    return templates


@cache
def _printed(given: str) -> str:
    """Return what TRANSFORM prints for its second argument. The same templates are made once for all tests."""
    ran = subprocess.run(
        [ROOT / "build/sam/bin/python", "-c", TRANSFORM, ROOT / "template.yaml", given],
        env=os.environ | {"AWS_DEFAULT_REGION": "us-east-1"},
        text=True,
        capture_output=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def of_type(template: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Return the resources of a type by their names."""
    return {name: resource for name, resource in template["Resources"].items() if resource["Type"] == kind}


def functions(template: Mapping[str, Any]) -> dict[str, Any]:
    """Return the functions' properties by their names."""
    return {name: function["Properties"] for name, function in of_type(template, "AWS::Lambda::Function").items()}


def rights(template: Mapping[str, Any], role: str) -> set[str]:
    """Return the actions that a role allows."""
    return {action for statement in statements(template["Resources"][role]) for action in listed(statement["Action"])}


def paths(template: Mapping[str, Any]) -> dict[str, Any]:
    """Return the routes of the HTTP API."""
    found: dict[str, Any] = template["Resources"]["HttpApi"]["Properties"]["Body"]["paths"]
    return found


def every(value: object, key: str) -> Iterator[Any]:
    """Yield every value under `key`, at any depth of `value`."""
    match value:
        case dict():
            for name, inner in value.items():
                if name == key:
                    yield inner
                yield from every(inner, key)
        case list():
            for inner in value:
                yield from every(inner, key)


def statements(role: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the statements of a role, including those under a condition."""
    for policy in role["Properties"]["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            yield from (branch for branch in statement.get("Fn::If", [statement]) if "Action" in branch)


def listed(value: object) -> list[Any]:
    """Return `value`, or a list of it if it is not a list."""
    return value if isinstance(value, list) else [value]
