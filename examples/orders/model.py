"""What an order is."""

from dataclasses import dataclass
from decimal import Decimal

QUEUE = "orders"

PRICES = {"book": Decimal("12.00"), "lamp": Decimal("40.00"), "chair": Decimal("89.90")}
"""What there is to buy."""


@dataclass
class Order:
    """``card`` is where the money comes from; the cards "declined" and "flaky" do what they say."""

    id: str
    item: str
    quantity: int
    address: str
    card: str
    packing_seconds: float = 15.0

    @property
    def amount(self) -> str:
        """What it costs."""
        return str(PRICES[self.item] * self.quantity)


def workflow_id(order_id: str) -> str:
    """The workflow of an order."""
    return f"order-{order_id}"
