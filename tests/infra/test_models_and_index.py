"""The template deploys a model in a layer or in S3, a reranker, and an index that fits the model."""

import json
import re
import subprocess
from functools import partial
from typing import Any

import pytest
import yaml

from handler.http.search import TEXT
from handler.vector_index import METRIC
from tests.conftest import INT8, ROOT
from tests.infra.transformed import functions, listed, of_type


def test_the_index_fits_the_model_and_keeps_the_text_of_passages(template: dict[str, Any]) -> None:
    """The build writes the dimension of its model in the place of the default model's."""
    index = template["Resources"]["SearchIndex"]["Properties"]
    manifest = json.loads((INT8 / "manifest.json").read_text())
    assert index["Dimension"] == {"Fn::If": ["ModelInLayer", manifest["dimension"], {"Ref": "SearchDimension"}]}
    assert (index["DistanceMetric"], index["DataType"]) == (METRIC, "float32")
    assert index["MetadataConfiguration"] == {"NonFilterableMetadataKeys": [TEXT]}
    build = subprocess.run(["make", "--dry-run", "build"], cwd=ROOT, text=True, capture_output=True, check=True).stdout
    find, replace = (re.findall(pattern, build) for pattern in (r"dimension=\$\((sed .*)\)", r'-e "(.*SearchDimension.*?)"'))
    assert subprocess.check_output(["sh", "-c", find[0].replace("ModelLayer/model", str(INT8))], text=True) == "384\n"
    written = yaml.dump({"Default": 384, "Dimension": index["Dimension"], "Other": 384})
    command = ["sh", "-c", f'dimension=768; sed -e "{replace[0]}"']
    built = yaml.safe_load(subprocess.run(command, input=written, text=True, capture_output=True, check=True).stdout)
    assert built == {"Default": 384, "Dimension": {"Fn::If": ["ModelInLayer", 768, {"Ref": "SearchDimension"}]}, "Other": 384}


@pytest.mark.parametrize(
    ("uri", "layers", "prefixes"),
    [
        ("", ["RuntimeLayer", "ModelLayer"], []),
        ("s3://models/gte-large/int8", ["RuntimeLayer"], ["arn:aws:s3:::models/gte-large/int8/*"]),
    ],
)
def test_a_model_is_either_in_a_layer_or_read_from_one_prefix(
    template: dict[str, Any], uri: str, layers: list[str], prefixes: list[str]
) -> None:
    """With a prefix there is no model layer, and both functions may read the objects under the prefix.

    A digest that was set for an earlier prefix does not apply to the model in the layer.
    """
    known = dict.fromkeys(template["Parameters"], "") | {"ModelUri": uri, "ModelSha256": "0" * 64, "AWS::Partition": "aws"}
    for function, role in {"ApiFunction": "ApiRole", "PipelineFunction": "PipelineRole"}.items():
        properties = resolved(functions(template)[function], known)
        assert [re.sub(r"[0-9a-f]{10}$", "", layer) for layer in properties["Layers"]] == layers
        assert properties["Environment"]["Variables"]["MODEL_URI"] == uri
        assert properties["Environment"]["Variables"]["MODEL_SHA256"] == (uri and "0" * 64)
        (policy,) = resolved(template["Resources"][role]["Properties"]["Policies"], known)
        read = [right for right in policy["PolicyDocument"]["Statement"] if right and "s3:GetObject" in listed(right["Action"])]
        assert [right["Resource"] for right in read] == prefixes
    layer_versions = of_type(template, "AWS::Lambda::LayerVersion")
    conditions = {re.sub(r"[0-9a-f]{10}$", "", name): layer.get("Condition") for name, layer in layer_versions.items()}
    assert conditions == {"RuntimeLayer": None, "ModelLayer": "ModelInLayer"}


@pytest.mark.parametrize(
    ("uri", "prefixes"), [("", []), ("s3://models/rerankers/minilm", ["arn:aws:s3:::models/rerankers/minilm/*"])]
)
def test_the_http_function_alone_reads_the_reranker_from_its_prefix(
    template: dict[str, Any], uri: str, prefixes: list[str]
) -> None:
    """The model stays in its layer. The pipeline function embeds only."""
    given = {"RerankerUri": uri, "RerankerSha256": "1" * 64, "AWS::Partition": "aws"}
    known = dict.fromkeys(template["Parameters"], "") | given
    api, pipeline = (
        resolved(functions(template)[name], known)["Environment"]["Variables"] for name in ("ApiFunction", "PipelineFunction")
    )
    assert (api["RERANKER_URI"], api["RERANKER_SHA256"], api["MODEL_URI"]) == (uri, "1" * 64, "")
    assert not any(name.startswith("RERANKER") for name in pipeline)
    for role, expected in {"ApiRole": prefixes, "PipelineRole": []}.items():
        (policy,) = resolved(template["Resources"][role]["Properties"]["Policies"], known)
        read = [right for right in policy["PolicyDocument"]["Statement"] if right and "s3:GetObject" in listed(right["Action"])]
        assert [right["Resource"] for right in read] == expected


def resolved(value: Any, known: dict[str, str]) -> Any:  # noqa: ANN401, PLR0911 - JSON, and a function of CloudFormation a line
    """Resolve CloudFormation's functions. The conditions of models are as `known` has them, all others are false.

    Unknown references keep their names.
    """
    again = partial(resolved, known=known)
    met = {"ModelInLayer": not known["ModelUri"], "HasRerankerUri": bool(known["RerankerUri"])}
    match value:
        case {"Fn::If": [condition, yes, no]}:
            return again(yes if met.get(condition) else no)
        case {"Ref": "AWS::NoValue"}:
            return None
        case {"Ref": name}:
            return known.get(name, name)
        case {"Fn::Split": [separator, text]}:
            return again(text).split(separator)
        case {"Fn::Join": [separator, parts]}:
            return separator.join(again(parts))
        case {"Fn::Sub": [text, values]}:
            return re.sub(r"\$\{([\w:]+)\}", lambda found: (known | again(values))[found[1]], text)
        case dict():
            return {name: again(item) for name, item in value.items()}
        case list():
            return [again(item) for item in value]
    return value
