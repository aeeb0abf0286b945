"""An order, from the charge to the parcel: failures are exceptions, compensation is an ``except`` clause.

Nothing here talks to a network. The plain functions decide by the tables below; where a real shop would call its
payment provider or a carrier, the docstring says so.

What a crash does is the same everywhere. `checkout` only awaits durable functions: wherever its Lambda dies, the next
one replays over what has settled, and goes on. The others act on the world, and Lambda's retry repeats one that died
before its outcome was stored; its key from `uuid4` is the same at each attempt, so the other side sees one request.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import Enum
from uuid import UUID

from adapter import durable, uuid4


class CardDeclined(Exception):
    """The payment provider refused the card; nothing was charged."""


class CarrierDown(Exception):
    """A carrier, or all of them, can't take the order now."""


class OutOfStock(Exception):
    """An item isn't in stock in the quantity ordered; nothing was shipped."""


class Payment(Enum):
    """The state of an order's money."""

    CHARGED = "charged"
    REFUNDED = "refunded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A position of an order; the price and the weight in grams are of one piece."""

    sku: str
    price: Decimal
    quantity: int = 1
    grams: int = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a customer wants; ``card`` is the payment provider's token, never a card's number."""

    id: str
    card: str
    country: str
    items: tuple[Item, ...]

    @property
    def total(self) -> Decimal:
        return sum((item.price * item.quantity for item in self.items), Decimal(0))

    @property
    def grams(self) -> int:
        return sum(item.grams * item.quantity for item in self.items)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A charge; ``key`` names it at the payment provider."""

    order: str
    key: UUID
    amount: Decimal
    payment: Payment = Payment.CHARGED


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What a carrier asks for an order."""

    carrier: str
    price: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipment:
    """A parcel under way; ``tracking`` names it at the carrier."""

    order: str
    carrier: str
    tracking: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """How an order ended: shipped, or refunded because of ``failure``."""

    receipt: Receipt
    shipment: Shipment | None = None
    failure: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A carrier's prices, and the countries where it is down."""

    base: Decimal
    kilogram: Decimal
    down: frozenset[str]


RATES = {
    "hare": Rate(base=Decimal("9.90"), kilogram=Decimal("0.50"), down=frozenset({"AQ"})),
    "tortoise": Rate(base=Decimal("4.50"), kilogram=Decimal("2.00"), down=frozenset({"AQ"})),
    "pigeon": Rate(base=Decimal("1.00"), kilogram=Decimal("3.00"), down=frozenset({"AQ", "DE"})),
}
STOCK = {"teapot": 12, "cup": 500, "samovar": 0}
DECLINED = "tok_chargeDeclined"


@durable(target="checkout")
async def checkout(order: Order) -> Purchase:
    """Charge, let the carriers compete, ship with the cheapest; refund what can't be shipped.

    After a crash, what has settled is replayed and not done again: one charge, one parcel or one refund. Start it as
    ``checkout.with_options(id=order.id).start(order)``, so that a second click is the same checkout.

    Cancelled, or failed in an unforeseen way, it refunds, too, and raises. What a cancelled call was doing at that
    moment may still happen: its outcome is refused, the world's side of it is for the nightly reconciliation.

    Raises:
        CardDeclined: nothing was charged and nothing shipped.
    """
    receipt = await charge(order)
    try:
        shipment = await ship(order, await cheapest(order))
    except (CarrierDown, OutOfStock) as failure:
        return Purchase(receipt=await refund(receipt), failure=f"{type(failure).__name__}: {failure}")
    except (Exception, asyncio.CancelledError):
        await refund(receipt)
        raise
    return Purchase(receipt=receipt, shipment=shipment)


async def cheapest(order: Order) -> Quote:
    """Ask all carriers at once. One that fails, in whatever way, is one offer less.

    Not durable itself: ordinary code in the caller's Lambda, replayed with it.
    """
    answers = await asyncio.gather(*(quote(carrier, order) for carrier in RATES), return_exceptions=True)
    offers = [answer for answer in answers if isinstance(answer, Quote)]
    if not offers:
        raise CarrierDown(f"no carrier takes {order.id}: " + "; ".join(str(answer) for answer in answers))
    return min(offers, key=lambda offer: (offer.price, offer.carrier))


@durable(target="charge")
def charge(order: Order) -> Receipt:
    """Charge the card: a real one posts ``order.total`` to the payment provider, with ``key`` as its Idempotency-Key.

    A crash after the provider has charged, before the receipt is stored: the retry sends the same key, and the provider
    answers with the charge that it has made already.

    Raises:
        CardDeclined: the provider said no. That is an outcome, stored like any other and not tried again.
    """
    key = uuid4()
    if order.card == DECLINED:
        raise CardDeclined(f"{order.id}: the card was declined")
    return Receipt(order=order.id, key=key, amount=order.total)


@durable(target="quote")
async def quote(carrier: str, order: Order) -> Quote:
    """Ask one carrier: a real one awaits its HTTP API here, since an ``async def`` may do real I/O, too.

    A crash asks again; that changes nothing.

    Raises:
        CarrierDown: it doesn't answer.
    """
    rate = _rate(carrier, order.country)
    price = rate.base + rate.kilogram * order.grams / 1000
    return Quote(carrier=carrier, price=price.quantize(Decimal("0.01")))


@durable(target="ship")
def ship(order: Order, offer: Quote) -> Shipment:
    """Hand the parcel over: a real one reserves the stock and books the carrier, both under ``tracking``.

    A crash after the booking: the retry books under the same key, which is the same parcel.

    Raises:
        OutOfStock: nothing was booked. A real stock shrinks; this one is a constant.
        CarrierDown: the carrier broke down after its offer.
    """
    tracking = uuid4()
    for item in order.items:
        if item.quantity > STOCK.get(item.sku, 0):
            raise OutOfStock(f"{order.id}: {item.quantity} of {item.sku}")
    _rate(offer.carrier, order.country)
    return Shipment(order=order.id, carrier=offer.carrier, tracking=tracking)


@durable(target="refund")
def refund(receipt: Receipt) -> Receipt:
    """Give the money back: a real one asks the provider to refund ``receipt.key``, which it does at most once.

    A crash asks again, about the same charge.
    """
    return replace(receipt, payment=Payment.REFUNDED)


def _rate(carrier: str, country: str) -> Rate:
    rate = RATES[carrier]
    if country in rate.down:
        raise CarrierDown(f"{carrier} is down in {country}")
    return rate
