"""Each test runs on a simulated cloud, with the functions, queues and tables that template.yaml defines."""

from app import checkout

from adapter import resolve
from adapter.testing import LocalCloud


def test_an_approved_order_is_charged(cloud: LocalCloud) -> None:
    handle = checkout.with_options(id="order-7").start("order-7")
    cloud.advance(600)  # ten minutes pass; checkout asks, and waits
    resolve("order-7~0", True)
    assert handle.result().startswith("order-7: 1250 cents")


def test_a_refused_order_is_not_charged(cloud: LocalCloud) -> None:
    handle = checkout.with_options(id="order-8").start("order-8")
    cloud.advance(600)
    resolve("order-8~0", False)
    assert handle.result() == "refused"


def test_an_order_without_an_answer_ends_after_a_day(cloud: LocalCloud) -> None:
    assert cloud.run(checkout, "order-9") == "nobody answered"
