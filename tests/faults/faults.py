"""Bad days, by name."""

import asyncio
import json

from tests.faults.proxy import Exchange, Fault, message

LEFT = {"BatchGetItem": "UnprocessedKeys", "BatchWriteItem": "UnprocessedItems"}


async def slow(exchange: Exchange) -> None:
    """Everything takes 0.6 s."""
    answer = await exchange.answer()
    await asyncio.sleep(0.6)
    await exchange.send(answer)


async def trickling(exchange: Exchange) -> None:
    """The answer comes byte by byte: no single read ever times out."""
    for byte in await exchange.answer():
        await exchange.send(bytes([byte]))
        await asyncio.sleep(0.02)


async def blackholed(exchange: Exchange) -> None:
    """The request is swallowed."""
    await exchange.ignore()


async def resetting(exchange: Exchange) -> None:
    """The connection is reset in place of an answer."""
    exchange.reset()


async def resetting_mid_body(exchange: Exchange) -> None:
    """The connection is reset half-way through the answer."""
    answer = await exchange.answer()
    await exchange.send(answer[: -len(answer) // 4])
    await asyncio.sleep(0.005)
    exchange.reset()


async def cutting(exchange: Exchange) -> None:
    """The answer ends early, as if it were over."""
    answer = await exchange.answer()
    await exchange.send(answer[:-10])
    exchange.writer.close()


async def throttling(exchange: Exchange) -> None:
    """The table has no capacity left."""
    await exchange.reply(
        400, {"__type": "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException", "message": "no"}
    )


async def failing(exchange: Exchange) -> None:
    """DynamoDB itself is broken."""
    await exchange.reply(500, {"__type": "com.amazonaws.dynamodb.v20120810#InternalServerError", "message": "no"})


async def refusing(exchange: Exchange) -> None:
    """The role has no right to the table."""
    await exchange.reply(400, {"__type": "com.amazon.coral.service#AccessDeniedException", "Message": "no"})


async def expired(exchange: Exchange) -> None:
    """The credentials have run out."""
    await exchange.reply(400, {"__type": "com.amazon.coral.service#ExpiredTokenException", "message": "no"})


async def missing(exchange: Exchange) -> None:
    """There is no such table."""
    asked = {"RequestItems": {"nowhere": next(iter(exchange.asked.values()))}}
    await exchange.send(await exchange.answer(json.dumps(asked).encode()))


async def unprocessed(exchange: Exchange) -> None:
    """Nothing is ever done, and that is no error."""
    await exchange.reply(200, {"Responses": {}, LEFT[exchange.operation]: exchange.asked})


async def empty(exchange: Exchange) -> None:
    """An object without any of the fields."""
    await exchange.reply(200, {})


async def html(exchange: Exchange) -> None:
    """Somebody else answers."""
    await exchange.send(message(200, b"<html>Welcome to the hotel's network</html>"))


async def noise(exchange: Exchange) -> None:
    """Not even HTTP."""
    await exchange.send(bytes(range(256)) * 4)
    exchange.writer.close()


async def foreign(exchange: Exchange) -> None:
    """Rows are there, but not such as we write."""
    if exchange.operation == "BatchWriteItem":
        await exchange.reply(200, {LEFT[exchange.operation]: {}})
        return
    rows = [
        {**key, "row": row, "expires": {"N": "9999999999"}}
        for table in exchange.asked.values()
        for key, row in zip(table["Keys"], [{"B": "AAAA"}, {"S": "text"}, {"NULL": True}, {"B": ""}] * 100, strict=False)
    ]
    await exchange.reply(200, {"Responses": dict.fromkeys(exchange.asked, rows), LEFT[exchange.operation]: {}})


EVERY_CALL: list[Fault] = [
    *(slow, trickling, blackholed, resetting, resetting_mid_body, cutting, throttling, failing, refusing, expired, missing),
    *(unprocessed, empty, html, noise, foreign),
]


def one_in(every: int, fault: Fault, otherwise: Fault) -> Fault:
    """A fault that strikes every so many calls."""
    calls = iter(range(1, 1 << 62))

    async def sometimes(exchange: Exchange) -> None:
        await (otherwise if next(calls) % every else fault)(exchange)

    return sometimes
