"""The example applications on a local cloud, a real crash included: ``make demo``, or ``python -m handlers.demo``.

Exits with 1 if a result is wrong.
"""

from __future__ import annotations

import importlib.util
import math
import os
import sys
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import ParamSpec, TypeVar

from adapter.api.durable import Durable
from adapter.engine.operations import Settle
from adapter.testing import LocalCloud
from adapter.testing.show import View, show
from handlers.factorial import factorial
from handlers.orders import Item, Order, Payment, charge, checkout
from handlers.survey import list_modules, survey

P = ParamSpec("P")
R = TypeVar("R")

TEMPLATE = Path(__file__).resolve().parents[1] / "template.yaml"
ORDER = Order(
    id="order-7",
    card="tok_visa",
    country="DE",
    items=(Item(sku="teapot", price=Decimal("24.90"), grams=900), Item(sku="cup", price=Decimal("6.50"), quantity=4)),
)
N = 10
PROCESSES = sys.platform == "linux" and importlib.util.find_spec("awslambdaric") is not None
"""Whether a Lambda can be a process here, and its death a SIGKILL."""


@dataclass
class Demo:
    """One run of everything: rows of the final tables, and what turned out wrong."""

    cloud: LocalCloud
    view: View
    results: list[tuple[str, str]] = field(default_factory=list)
    costs: list[tuple[str, ...]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def order(self) -> None:
        """Killed at the worst moment: the card is charged, the receipt isn't stored yet."""
        self.cloud.kill(charge, Settle, "before")
        self.view.heading("checkout: charge, ask three carriers, ship with the cheapest")
        if PROCESSES:
            self.view.say("Each function in processes of its own, under AWS's runtime client.")
        self.view.say("The Lambda of charge is going to be killed: the card is charged, the receipt isn't stored yet.")
        purchase = self._run("checkout", checkout.with_options(id=ORDER.id), ORDER)
        paid, shipment = purchase.receipt, purchase.shipment
        carrier = shipment.carrier if shipment else "nobody"
        self.results.append(("checkout", f"{paid.amount} {paid.payment.value}, shipped by {carrier}"))
        self._check("checkout", (paid.amount, paid.payment, carrier) == (ORDER.total, Payment.CHARGED, "tortoise"))
        self._check("charge, killed once, ran twice", self.cloud.stats.bodies[charge] == 2)

    def recursion(self) -> None:
        """Each call waits for the next one down."""
        self.view.heading(f"factorial: {N}!, each call in its own Lambda")
        product = self._run("factorial", factorial.with_options(id=f"{N}!"), N)
        self.results.append(("factorial", f"{N}! = {product}"))
        self._check("factorial", product == math.factorial(N))

    def fan_out(self) -> None:
        """As many Lambdas as modules."""
        self.view.heading("survey: the standard library, a Lambda for each module")
        report = self._run("survey", survey.with_options(id="stdlib"), None)
        self.results += [
            ("survey: modules", f"{report.modules:,}"),
            ("survey: files", f"{report.files:,}"),
            ("survey: lines", f"{report.lines:,}"),
            ("survey: functions", f"{report.functions:,}"),
        ]
        longest = report.longest
        if longest:
            self.results.append(("survey: longest", f"{longest.module}: {longest.function}, {longest.lines} lines"))
        self._check("survey", report.modules == len(list_modules()) and report.lines > report.functions > 0)

    def end(self) -> int:
        """The tables; returns the exit status."""
        self.view.table("Results", ("what", "result"), self.results)
        columns = ("what each cost", "writes", "reads", "invocations", "resumes", "dollars")
        self.view.table("Costs", columns, self.costs)
        self.view.say("Estimated dollars, the table's index and logs included; an invocation is taken to last 30 ms.")
        for what in self.wrong:
            self.view.say(f"WRONG: {what}")
        return 1 if self.wrong else 0

    def _run(self, name: str, fn: Durable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        self.cloud.stats.reset()
        value = self.cloud.run(fn, *args, **kwargs)
        stats = self.cloud.stats
        counts = (stats.writes, stats.reads, stats.invocations, stats.resumes.total())
        self.costs.append((name, *(f"{count:,}" for count in counts), f"${stats.dollars:.6f}"))
        return value

    def _check(self, what: str, right: bool) -> None:
        if not right:
            self.wrong.append(what)


def main() -> int:
    """Run all; returns the exit status."""
    with LocalCloud(template=TEMPLATE, processes=PROCESSES) as cloud, show(cloud) as view:
        demo = Demo(cloud, view)
        demo.order()
    with LocalCloud(template=TEMPLATE) as demo.cloud, show(demo.cloud) as demo.view:
        demo.recursion()
        demo.fan_out()
        return demo.end()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BrokenPipeError:
        # Whoever reads has seen enough, as `head` has; the interpreter's own flush mustn't complain either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
