"""A DynamoDB on this machine, with a table as template.yaml makes it."""

from collections.abc import Mapping
from typing import Any

from events.aws import LocalAWS

KEY = "key"


class LocalDynamoDB(LocalAWS):
    """A server with one table, for a `with` block."""

    def __init__(self, table: str = "vectors") -> None:
        """Name the table."""
        self.table = table

    @property
    def environment(self) -> Mapping[str, str]:
        """What botocore needs to find it, and the handler its table."""
        theirs = dict(super().environment)
        # The other services stay where they are.
        return {"AWS_ENDPOINT_URL_DYNAMODB": theirs.pop("AWS_ENDPOINT_URL"), **theirs, "CACHE_TABLE": self.table}

    def client(self, service: str = "dynamodb") -> Any:  # noqa: ANN401 - botocore makes its classes at run time
        """Its own client, whatever the environment says."""
        return super().client(service)

    def _furnish(self) -> None:
        self.client().create_table(
            TableName=self.table,
            AttributeDefinitions=[{"AttributeName": KEY, "AttributeType": "B"}],
            KeySchema=[{"AttributeName": KEY, "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
        )
