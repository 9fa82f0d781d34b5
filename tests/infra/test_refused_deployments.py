"""The template's rules refuse a deployment that cannot work, before it begins."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

RULE_FUNCTIONS: dict[str, Callable[[list[Any]], bool]] = {
    "Fn::Equals": lambda given: str(given[0]) == str(given[1]),
    "Fn::Contains": lambda given: given[1] in given[0],
    "Fn::Not": lambda given: not given[0],
    "Fn::And": all,
    "Fn::Or": any,
}


def comes_to(value: Any, parameters: Mapping[str, str]) -> Any:  # noqa: ANN401 - JSON
    """Evaluate a rule's function as CloudFormation does."""
    match value:
        case {"Ref": str(name)}:
            return parameters[name]
        case {"Fn::Join": [separator, listing]}:
            return separator.join(comes_to(listing, parameters).split(","))
        case dict():
            ((name, given),) = value.items()
            return RULE_FUNCTIONS[name](comes_to(given, parameters))
        case list():
            return [comes_to(one, parameters) for one in value]
        case _:
            return value


BULK = {"CorpusBucket": "corpus", "CorpusPrefix": "passages/", "ReceiptsBucket": "receipts", "SinkArn": "arn:aws:s3:::vectors/all"}


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        ({}, ""),
        ({"SourceBucket": "documents", "ReceiptsBucket": "documents"}, "SourceBucket"),
        ({"CorpusBucket": "corpus"}, "needs a ReceiptsBucket"),
        ({"VpcSubnetIds": "subnet-1,subnet-2"}, "need each other"),
        ({"VpcSecurityGroupIds": "sg-1"}, "need each other"),
        ({"VpcSubnetIds": "subnet-1", "VpcSecurityGroupIds": "sg-1"}, ""),
        ({"Instances": "true"}, "need VpcSubnetIds"),
        ({"DomainName": "embeddings.example.com"}, "needs a CertificateArn"),
        ({"SnapStart": "true"}, ""),
        ({"EphemeralStorage": "1024"}, ""),
        ({"SnapStart": "true", "EphemeralStorage": "1024"}, "SnapStart allows"),
        ({"MonthlyBudget": "50"}, "needs a BudgetEmail"),
        (BULK, ""),
        (BULK | {"SinkArn": "", "Search": "true"}, ""),
        ({"Search": "true", "SourceBucket": "documents"}, ""),
        ({"Search": "true", "SinkArn": "arn:aws:s3:::vectors/all"}, "Leave SearchIndexArn and SinkArn empty"),
        ({"Search": "true", "SearchIndexArn": "arn:aws:s3vectors:…"}, "Leave SearchIndexArn and SinkArn empty"),
        ({"Search": "true", "OutputDtype": "int8"}, "takes float32 only"),
        (BULK | {"SinkArn": ""}, "needs a ReceiptsBucket and a SinkArn"),
        (BULK | {"ReceiptsBucket": "corpus"}, ""),
        (BULK | {"CorpusPrefix": ""}, ""),
        (BULK | {"ReceiptsBucket": "corpus", "CorpusPrefix": ""}, "within the corpus"),
        (BULK | {"ReceiptsBucket": "corpus", "CorpusPrefix": "receipts/"}, "within the corpus"),
    ],
)
def test_a_deployment_that_would_read_its_own_output_or_is_half_of_one_is_refused_before_it_begins(
    template: dict[str, Any], given: dict[str, str], refused: str
) -> None:
    """The template's rules refuse it. Only the function can check a sink, because rules cannot split an ARN."""
    parameters = {name: str(parameter.get("Default", "")) for name, parameter in template["Parameters"].items()} | given
    said = [
        assertion["AssertDescription"]
        for rule in template["Rules"].values()
        if comes_to(rule["RuleCondition"], parameters)
        for assertion in rule["Assertions"]
        if not comes_to(assertion["Assert"], parameters)
    ]
    assert bool(said) == bool(refused)
    assert refused in "".join(said)
