"""The template's roles allow what the code does, and no more."""

import ast
import re
from typing import Any

import botocore.session
import pytest

from handler.vector_index import MODEL_TAG
from tests.conftest import ROOT
from tests.infra.transformed import functions, listed, of_type, paths, rights, statements

CALLS = {
    "batch_get_item": "dynamodb:BatchGetItem",
    "batch_write_item": "dynamodb:BatchWriteItem",
    "get_secret_value": "secretsmanager:GetSecretValue",
    "get_object": "s3:GetObject",
    "head_object": "s3:GetObject",
    "put_object": "s3:PutObject",
    "change_message_visibility_batch": "sqs:ChangeMessageVisibility",
    "send_message": "sqs:SendMessage",
    "send_message_batch": "sqs:SendMessage",
    "put_events": "events:PutEvents",
    "put_vectors": "s3vectors:PutVectors",
    "delete_vectors": "s3vectors:DeleteVectors",
    "get_index": "s3vectors:GetIndex",
    "get_vectors": "s3vectors:GetVectors",
    "query_vectors": "s3vectors:QueryVectors",
    "list_tags_for_resource": "s3vectors:ListTagsForResource",
    "tag_resource": "s3vectors:TagResource",
    "update_item": "dynamodb:UpdateItem",
    "query": None,  # the query of a rerank request: DynamoDB's is never called
    "publish_batch": None,  # failures to a topic, for whoever sets FAILURE_DESTINATION to one: the template has a queue
}
"""The methods of AWS's clients that handler/ calls, and the permission that each needs."""
LAMBDA_S_OWN = {
    "logs:CreateLogStream", "logs:PutLogEvents", "xray:PutTraceSegments", "xray:PutTelemetryRecords",
    "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes",
    "kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:DescribeStream",
    "kinesis:DescribeStreamSummary", "kinesis:ListShards", "kinesis:ListStreams",
    "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:DescribeStream", "dynamodb:ListStreams",
    "s3:GetObjectVersion",  # get_object of a version
    "ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses",
    "kms:Decrypt", "kms:GenerateDataKey",
}  # fmt: skip
"""Permissions that Lambda uses for the function by its role, and those that a call needs besides the one of its own name."""
MAKES_404_OF_MISSING_OBJECTS = "s3:ListBucket"
"""No call needs it, but without it S3 responds 403 instead of 404 to a read of an object that does not exist."""
WITHOUT_RESOURCES = {
    "xray:PutTraceSegments", "xray:PutTelemetryRecords", "xray:GetSamplingRules", "xray:GetSamplingTargets",
    "dynamodb:ListStreams", "kinesis:ListStreams",
    "ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses",
}  # fmt: skip
"""Actions that AWS allows for no narrower resource than "*"."""


def calls() -> set[str]:
    """Return the methods of AWS's clients that handler/ uses: every attribute that a client of botocore has."""
    session = botocore.session.get_session()
    services = {action.partition(":")[0] for action in CALLS.values() if action} | {"sns"}
    clients = [session.create_client(service, "us-east-1") for service in services]
    methods = {name for client in clients for name in client.meta.method_to_api_mapping}
    trees = [ast.parse(path.read_text()) for path in (ROOT / "handler").rglob("*.py")]
    return {node.attr for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Attribute)} & methods


def test_the_roles_allow_what_the_code_does_and_no_more(template: dict[str, Any]) -> None:
    """A permission without a call is one too many; a call without a permission fails after deployment."""
    assert calls() == CALLS.keys(), "a new call needs a permission, and a line in the table above"
    made = {action for action in CALLS.values() if action}
    granted = (rights(template, "ApiRole") | rights(template, "PipelineRole")) - LAMBDA_S_OWN - {MAKES_404_OF_MISSING_OBJECTS}
    assert granted == made


def test_a_missing_object_can_be_distinguished_from_a_missing_permission(template: dict[str, Any]) -> None:
    """In source and sink, a deleted object is a permanent failure (404), a missing permission is retried (403)."""
    by_condition: dict[str, set[str]] = {}
    for policy in template["Resources"]["PipelineRole"]["Properties"]["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            condition, *branches = statement.get("Fn::If", ("", statement))
            actions = {action for branch in branches for action in listed(branch.get("Action", []))}
            by_condition[condition] = by_condition.get(condition, set()) | actions
    reading = {condition for condition, actions in by_condition.items() if "s3:GetObject" in actions}
    telling = {condition for condition, actions in by_condition.items() if MAKES_404_OF_MISSING_OBJECTS in actions}
    assert telling == reading - {"ModelInLayer"} == {"HasSourceBucket", "SinkIsS3"}
    bare = [
        statement
        for statement in statements(template["Resources"]["PipelineRole"])
        if statement["Action"] == MAKES_404_OF_MISSING_OBJECTS
    ]
    assert not any("Condition" in statement for statement in bare), "reading an object has no prefix that would meet one"


def test_a_role_is_for_one_function_and_names_its_resources(template: dict[str, Any]) -> None:
    """No action is a pattern, and the resource "*" is only for actions that take no narrower one."""
    assert {name: properties["Role"]["Fn::GetAtt"][0] for name, properties in functions(template).items()} == {
        "ApiFunction": "ApiRole",
        "PipelineFunction": "PipelineRole",
        "InstancesFunction": "PipelineRole",
    }
    for name in ("ApiRole", "PipelineRole", "BulkRole"):
        role = template["Resources"][name]
        assert "ManagedPolicyArns" not in role["Properties"]
        for statement in statements(role):
            assert not any("*" in action for action in listed(statement["Action"]))
            if statement["Resource"] == "*":
                assert set(listed(statement["Action"])) <= WITHOUT_RESOURCES


def test_the_state_machine_may_do_what_a_distributed_map_and_x_ray_need(template: dict[str, Any]) -> None:
    """Step Functions developer guide, "IAM policies for using Distributed Map states" and "X-Ray"."""
    granted: dict[str, set[str]] = {}
    for statement in statements(template["Resources"]["BulkRole"]):
        for action in listed(statement["Action"]):
            resources = {str(resource.get("Fn::Sub", resource) if isinstance(resource, dict) else resource)
                         for resource in listed(statement["Resource"])}  # fmt: skip
            granted.setdefault(action, set()).update(resource.rpartition(":execution:")[2] for resource in resources)
    assert granted["states:DescribeExecution"] == granted["states:StopExecution"] == {
        "${AWS::StackName}-bulk:*", "${AWS::StackName}-bulk/*",
    }  # fmt: skip
    assert granted["states:RedriveExecution"] == {"${AWS::StackName}-bulk/*"}
    sampling = {"xray:PutTraceSegments", "xray:PutTelemetryRecords", "xray:GetSamplingRules", "xray:GetSamplingTargets"}
    assert sampling <= granted.keys()


@pytest.mark.parametrize("source", ["kinesis", "dynamodb"])
def test_a_source_s_file_names_the_rights_that_the_template_gives(template: dict[str, Any], source: str) -> None:
    """Someone who makes a role of their own copies its docstring and handler/README.md."""
    text = (ROOT / f"handler/sources/{source}.py").read_text() + (ROOT / "handler/README.md").read_text()
    granted = {action for action in rights(template, "PipelineRole") & LAMBDA_S_OWN if action.startswith(f"{source}:")}
    assert granted == set(re.findall(rf"\b{source}:(?:Get|Describe|List)\w+", text))


def test_the_http_function_reads_one_secret_and_asks_for_keys(template: dict[str, Any]) -> None:
    """Nothing in the template makes the API public: without a key, API Gateway checks a signature."""
    assert rights(template, "ApiRole") - LAMBDA_S_OWN == {
        "secretsmanager:GetSecretValue",
        "dynamodb:BatchGetItem",
        "dynamodb:BatchWriteItem",
        "s3:GetObject",  # of the models alone, where ModelUri and RerankerUri name them
        "s3vectors:QueryVectors",  # of the index alone, where there is one
        "s3vectors:GetVectors",  # a query with a filter, or with metadata in its response
        "s3vectors:GetIndex",
        "s3vectors:ListTagsForResource",
    }
    variables = functions(template)["ApiFunction"]["Environment"]["Variables"]
    assert variables["API_KEYS_SECRET"] == {"Ref": "ApiKey"}
    assert variables["AUTH"] == {"Fn::If": ["AuthIsIam", "none", "keys"]}
    operations = [path[method] for path in paths(template).values() for method in path]
    signed = {"Fn::If": ["AuthIsIam", [{"sigv4": []}], {"Ref": "AWS::NoValue"}]}
    assert [operation["security"] for operation in operations] == [signed] * len(operations)
    schemes = template["Resources"]["HttpApi"]["Properties"]["Body"]["components"]["securitySchemes"]
    assert schemes["sigv4"]["x-amazon-apigateway-authtype"] == "awsSigv4"


def test_every_role_has_the_boundary(template: dict[str, Any]) -> None:
    """An account may refuse roles without one. The canary's role that SAM makes would have none."""
    roles = of_type(template, "AWS::IAM::Role")
    assert roles.keys() == {"ApiRole", "PipelineRole", "BulkRole", "CanaryRole", "InstancesRole"}
    boundary = {"Fn::If": ["HasBoundary", {"Ref": "PermissionsBoundary"}, {"Ref": "AWS::NoValue"}]}
    assert [role["Properties"].get("PermissionsBoundary") for role in roles.values()] == [boundary] * len(roles)


def test_the_functions_may_use_the_index_of_the_search_and_no_other(template: dict[str, Any]) -> None:
    """The one that reads cannot write, and only the tag of the model can be set."""
    index = {"Fn::If": ["MakesIndex", {"Fn::GetAtt": ["SearchIndex", "IndexArn"]}, {"Ref": "SearchIndexArn"}]}
    written = {"Fn::If": ["MakesIndex", {"Fn::GetAtt": ["SearchIndex", "IndexArn"]}, {"Ref": "SinkArn"}]}
    found = {
        role: [one for one in statements(template["Resources"][role]) if "s3vectors" in str(one["Action"])]
        for role in ("ApiRole", "PipelineRole")
    }
    assert [one["Resource"] for one in found["ApiRole"]] == [index]
    assert not {action for action in listed(found["ApiRole"][0]["Action"]) if re.search(r":(Put|Delete|Tag)", action)}
    assert [one["Resource"] for one in found["PipelineRole"]] == [written, written]
    (tagging,) = (one for one in found["PipelineRole"] if one["Action"] == "s3vectors:TagResource")
    assert tagging["Condition"] == {"ForAllValues:StringEquals": {"aws:TagKeys": [MODEL_TAG]}}
    for name in ("ApiFunction", "PipelineFunction"):
        assert functions(template)[name]["Environment"]["Variables"]["SEARCH_INDEX_ARN"] == index


ENCRYPTED = {
    "AWS::SQS::Queue": "KmsMasterKeyId", "AWS::Logs::LogGroup": "KmsKeyId", "AWS::SecretsManager::Secret": "KmsKeyId",
    "AWS::DynamoDB::Table": "SSESpecification", "AWS::Lambda::Function": "KmsKeyArn",
    "AWS::S3Vectors::VectorBucket": "EncryptionConfiguration",
}  # fmt: skip


def test_one_key_encrypts_whatever_the_stack_keeps(template: dict[str, Any]) -> None:
    """Both functions may use it."""
    for kind, name in ENCRYPTED.items():
        for resource in of_type(template, kind).values():
            condition, value, _ = resource["Properties"][name]["Fn::If"]
            assert condition == "HasKey"
            assert {"Ref": "KmsKeyArn"} in (value, value.get("KMSMasterKeyId"), value.get("KmsKeyArn"))
    for role in ("ApiRole", "PipelineRole"):
        using = [right["Resource"] for right in statements(template["Resources"][role]) if "kms:Decrypt" in right["Action"]]
        assert using == [{"Ref": "KmsKeyArn"}, {"Ref": "DataKmsKeyArns"}]


def test_no_secret_is_in_a_function_s_configuration(template: dict[str, Any]) -> None:
    """Everyone who may read the configuration, such as auditors and deployment tools, would see the secret."""
    assert "{{resolve:" not in str(functions(template))
    assert functions(template)["PipelineFunction"]["Environment"]["Variables"]["CACHE_KEY_SECRET_ARN"] == {
        "Ref": "CacheKeySecretArn"
    }
    for role in ("ApiRole", "PipelineRole"):
        read = [right["Resource"] for right in statements(template["Resources"][role]) if "secretsmanager" in str(right["Action"])]
        assert {"Ref": "CacheKeySecretArn"} in read
