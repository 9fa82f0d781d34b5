"""Faults of a network or of a service, by their names."""

import asyncio
import json

from tests.faults.proxy import Exchange, Fault, message

UNPROCESSED = {"BatchGetItem": "UnprocessedKeys", "BatchWriteItem": "UnprocessedItems"}


async def slow(exchange: Exchange) -> None:
    """Respond after 0.6 s."""
    response = await exchange.forward()
    await asyncio.sleep(0.6)
    await exchange.send(response)


async def trickling(exchange: Exchange) -> None:
    """Respond byte by byte, so that no single read times out."""
    for byte in await exchange.forward():
        await exchange.send(bytes([byte]))
        await asyncio.sleep(0.02)


async def blackholed(exchange: Exchange) -> None:
    """Never respond."""
    await exchange.ignore()


async def resetting(exchange: Exchange) -> None:
    """Reset the connection instead of responding."""
    exchange.reset()


async def resetting_mid_body(exchange: Exchange) -> None:
    """Reset the connection in the middle of the response."""
    response = await exchange.forward()
    await exchange.send(response[: -len(response) // 4])
    await asyncio.sleep(0.005)
    exchange.reset()


async def truncating(exchange: Exchange) -> None:
    """Close the connection before the end of the response."""
    response = await exchange.forward()
    await exchange.send(response[:-10])
    exchange.writer.close()


async def throttling(exchange: Exchange) -> None:
    """Respond that the table has no capacity left."""
    await exchange.reply(
        400, {"__type": "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException", "message": "no"}
    )


async def failing(exchange: Exchange) -> None:
    """Respond that DynamoDB failed."""
    await exchange.reply(500, {"__type": "com.amazonaws.dynamodb.v20120810#InternalServerError", "message": "no"})


async def refusing(exchange: Exchange) -> None:
    """Respond that the role may not use the table."""
    await exchange.reply(400, {"__type": "com.amazon.coral.service#AccessDeniedException", "Message": "no"})


async def expired(exchange: Exchange) -> None:
    """Respond that the credentials have expired."""
    await exchange.reply(400, {"__type": "com.amazon.coral.service#ExpiredTokenException", "message": "no"})


async def missing(exchange: Exchange) -> None:
    """Ask DynamoDB for a table that does not exist."""
    asked = {"RequestItems": {"nowhere": next(iter(exchange.asked.values()))}}
    await exchange.send(await exchange.forward(json.dumps(asked).encode()))


async def unprocessed(exchange: Exchange) -> None:
    """Respond that no item was processed, which is not an error."""
    await exchange.reply(200, {"Responses": {}, UNPROCESSED[exchange.operation]: exchange.asked})


async def empty(exchange: Exchange) -> None:
    """Respond with an object that has no field."""
    await exchange.reply(200, {})


async def html(exchange: Exchange) -> None:
    """Respond with a page of HTML, as another server would."""
    await exchange.send(message(200, b"<html>Welcome to the hotel's network</html>"))


async def noise(exchange: Exchange) -> None:
    """Respond with bytes that are not HTTP."""
    await exchange.send(bytes(range(256)) * 4)
    exchange.writer.close()


async def foreign(exchange: Exchange) -> None:
    """Respond with rows that this project did not write."""
    if exchange.operation == "BatchWriteItem":
        await exchange.reply(200, {UNPROCESSED[exchange.operation]: {}})
        return
    rows = [
        {**key, "row": row, "expires": {"N": "9999999999"}}
        for table in exchange.asked.values()
        for key, row in zip(table["Keys"], [{"B": "AAAA"}, {"S": "text"}, {"NULL": True}, {"B": ""}] * 100, strict=False)
    ]
    await exchange.reply(200, {"Responses": dict.fromkeys(exchange.asked, rows), UNPROCESSED[exchange.operation]: {}})


EVERY_CALL: list[Fault] = [
    *(slow, trickling, blackholed, resetting, resetting_mid_body, truncating, throttling, failing, refusing, expired, missing),
    *(unprocessed, empty, html, noise, foreign),
]


def one_in(every: int, fault: Fault, otherwise: Fault) -> Fault:
    """Return a fault that affects one in so many calls."""
    calls = iter(range(1, 1 << 62))

    async def sometimes(exchange: Exchange) -> None:
        await (otherwise if next(calls) % every else fault)(exchange)

    return sometimes
