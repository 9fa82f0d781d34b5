"""template.yaml as CloudFormation gets it: transformed by SAM's own translator, which runs in SAM's environment."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

from tests.conftest import ROOT

# Takes the template's path and a list of pairs: the names of what `sam deploy` would have uploaded, and parameters.
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
"""The names under which `sam deploy` uploads folders are digests of what is in them."""

type Template = dict[str, Any]


def transformed(**parameters: str) -> Template:
    """The template after the transform, given some parameters."""
    (template,) = transformed_each((UPLOADED, parameters))
    return template


def transformed_each(*given: tuple[Mapping[str, str], Mapping[str, str]]) -> list[Template]:
    """One for each pair of the names of uploads and parameters; importing the translator takes as long as forty transforms."""
    ran = subprocess.run(
        [ROOT / "build/sam/bin/python", "-c", TRANSFORM, ROOT / "template.yaml", json.dumps(given)],
        env=os.environ | {"AWS_DEFAULT_REGION": "us-east-1"},
        text=True,
        capture_output=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    templates: list[Template] = json.loads(ran.stdout)
    return templates


def of_type(template: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """The resources of a type, by their names."""
    return {name: resource for name, resource in template["Resources"].items() if resource["Type"] == kind}


def every(value: object, key: str) -> Iterator[Any]:
    """What stands under `key` anywhere in `value`."""
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
    """The statements of a role, those under a condition too."""
    for policy in role["Properties"]["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            yield from (branch for branch in statement.get("Fn::If", [statement]) if "Action" in branch)


def listed(value: object) -> list[Any]:
    """`value`, as a list if it is none."""
    return value if isinstance(value, list) else [value]
