"""The durable functions of NAME: an order is approved by a person, and then charged."""

from adapter import durable, errors, promise, uuid4

DAY = 86_400


@durable(target="charge")
def charge(order: str, cents: int) -> str:
    # A real shop posts this to its payment provider, with the key as the Idempotency-Key.
    return f"{order}: {cents} cents under the key {uuid4()}"


@durable(target="checkout")
async def checkout(order: str) -> str:
    approval = promise(bool, timeout=DAY)
    try:
        approved = await approval
    except errors.PromiseTimeout:
        return "nobody answered"
    return await charge(order, 1250) if approved else "refused"
