"""DynamoDB on this machine, with the table that template.yaml makes."""

from collections.abc import Mapping
from typing import Any

from events.aws import LocalAWS

KEY = "key"


class LocalDynamoDB(LocalAWS):
    """A server of DynamoDB's API with one table, for a `with` block."""

    def __init__(self, table: str = "vectors") -> None:
        """Choose the table's name."""
        self.table = table

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment variables with which botocore finds this server, and the handler its table."""
        general = dict(super().environment)
        # Calls of other services still go to AWS.
        return {"AWS_ENDPOINT_URL_DYNAMODB": general.pop("AWS_ENDPOINT_URL"), **general, "CACHE_TABLE": self.table}

    def client(self, service: str = "dynamodb") -> Any:  # noqa: ANN401 - botocore makes its classes at run time
        """Make a client of this server, whatever the environment says."""
        return super().client(service)

    def _create_resources(self) -> None:
        self.client().create_table(
            TableName=self.table,
            AttributeDefinitions=[{"AttributeName": KEY, "AttributeType": "B"}],
            KeySchema=[{"AttributeName": KEY, "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
        )
