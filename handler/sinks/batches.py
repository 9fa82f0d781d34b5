"""Split items into batches that one call of a destination can carry: by the number of items and their bytes.

Law: knows neither records nor services.
"""

from collections.abc import Callable, Iterator, Sequence

from handler.sinks.refusals import Refusal


def split_into_batches[Item](items: Sequence[Item], sizes: Sequence[int], most: int, limit: int) -> Iterator[list[Item]]:
    """Yield the items in their order, in batches of at most `most` items whose sizes add up to at most `limit`.

    An item that is larger than the limit is a batch of its own.
    """
    batch: list[Item] = []
    total = 0
    for item, size in zip(items, sizes, strict=True):
        if batch and (len(batch) == most or total + size > limit):
            yield batch
            batch, total = [], 0
        batch.append(item)
        total += size
    if batch:
        yield batch


def send_in_batches(
    sizes: Sequence[int], most: int, limit: int, send: Callable[[Sequence[int]], dict[int, Refusal]]
) -> dict[int, Refusal]:
    """Send messages in calls of at most `most` messages and `limit` bytes; return the refusals, by the position of the message.

    The position of a message is its index in `sizes`. A message that is larger than the limit is refused and not sent.

    Args:
        sizes: the bytes of each message.
        most: the most messages of one call.
        limit: the most bytes of one call.
        send: sends the messages at the given positions in one call; returns the refusals, by the position of the message.
    """
    refused: dict[int, Refusal] = {}
    fitting: list[int] = []
    for position, size in enumerate(sizes):
        if size > limit:
            error = f"The message of the record has {size} bytes; the destination takes at most {limit}"
            refused[position] = Refusal(error, transient=False)
        else:
            fitting.append(position)
    for batch in split_into_batches(fitting, [sizes[position] for position in fitting], most, limit):
        refused.update(send(batch))
    return refused
