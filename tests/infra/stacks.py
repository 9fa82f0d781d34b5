"""Stacks of the transformed template in moto's CloudFormation, as far as moto supports it.

moto cannot make aliases, permissions, hosted configurations, alarms, secrets, queue policies, HTTP APIs, asynchronous
configurations, indexes of S3 Vectors or canaries. These resources are left out: a reference to one becomes its name, and a
reference to an alias becomes its function. In the others, moto resolves every condition, reference and substitution.
"""

import io
import json
import re
import zipfile
from collections.abc import Mapping
from typing import Any

from events.aws import LocalAWS
from tests.infra.transformed import of_type, transformed

ACCOUNT = "123456789012"
IGNORED = {
    "AWS::ApiGatewayV2::Api", "AWS::ApiGatewayV2::Stage", "AWS::ApiGatewayV2::DomainName", "AWS::ApiGatewayV2::ApiMapping",
    "AWS::Route53::RecordSet", "AWS::Budgets::Budget",
    "AWS::AppConfig::Application", "AWS::AppConfig::ConfigurationProfile", "AWS::AppConfig::HostedConfigurationVersion",
    "AWS::CloudWatch::Alarm", "AWS::Lambda::CapacityProvider", "AWS::Lambda::Alias", "AWS::Lambda::EventInvokeConfig",
    "AWS::Lambda::Permission",
    "AWS::SQS::QueuePolicy", "AWS::SecretsManager::Secret", "AWS::S3Vectors::VectorBucket", "AWS::S3Vectors::Index",
}  # fmt: skip


def upload_code(aws: LocalAWS) -> None:
    """Store the uploads to which a deployed template refers."""
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("handler/__init__.py", "")
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="uploads")
    for key in ("code", "runtime", "model"):
        s3.put_object(Bucket="uploads", Key=key, Body=code.getvalue())


def supported_template() -> dict[str, Any]:
    """Return the part of the template that moto supports."""
    template = transformed()
    ignored = {name for name, resource in template["Resources"].items() if resource["Type"] in IGNORED}
    template["Resources"] = {name: resource for name, resource in template["Resources"].items() if name not in ignored}
    named: dict[str, Any] = _named(template, ignored)
    del named["Rules"]
    for resource in of_type(named, "AWS::Lambda::Version").values():
        del resource["Properties"]["Description"]  # has the numbers of layers, and moto's layers have none
    return named


def _named(value: Any, ignored: set[str]) -> Any:  # noqa: ANN401, PLR0911 - JSON, and a form of reference a line
    """Return `value` with the names of ignored resources in place of references to them."""
    match value:
        case {"Ref": str(name)} if name in ignored and name.endswith("Aliaslive"):
            return {"Fn::GetAtt": [name.removesuffix("Aliaslive"), "Arn"]}
        case {"Ref": str(name)} if name in ignored:
            return name
        case {"Fn::GetAtt": [name, *_]} if name in ignored:
            return name
        case {"Fn::Sub": str(text)}:
            return {"Fn::Sub": re.sub(rf"\$\{{({'|'.join(ignored)})(\.\w+)?\}}", r"\1", text)}
        case dict():
            return {key: _named(inner, ignored) for key, inner in value.items()}
        case list():
            return [_named(inner, ignored) for inner in value]
        case _:
            return value


def deployed(aws: LocalAWS, template: Mapping[str, Any], stack: str, parameters: Mapping[str, str]) -> set[str]:
    """Deploy a stack and return the names of its resources."""
    given = [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()]
    cloudformation = aws.client("cloudformation")
    # By its address: the text is more than a request may carry.
    aws.client("s3").put_object(Bucket="uploads", Key="template", Body=json.dumps(template).encode())
    url = "https://s3.amazonaws.com/uploads/template"  # of which moto reads the path alone
    cloudformation.create_stack(StackName=stack, TemplateURL=url, Parameters=given, Capabilities=["CAPABILITY_IAM"])
    assert cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE"
    resources = cloudformation.list_stack_resources(StackName=stack)["StackResourceSummaries"]
    return {resource.get("LogicalResourceId", "") for resource in resources} - {""}


def environment(aws: LocalAWS, function: str) -> dict[str, str]:
    """Return the environment variables of a deployed function. moto keeps numbers, which CloudFormation makes text."""
    variables = aws.client("lambda").get_function_configuration(FunctionName=function)["Environment"]["Variables"]
    return {name: str(value) for name, value in variables.items()}
