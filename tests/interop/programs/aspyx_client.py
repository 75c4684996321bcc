"""A client of aspyx-service: ``python aspyx_client.py PORT`` prints what its calls came back with."""

import asyncio
import sys

from aspyx.di import Environment
from aspyx_orders import CHANNELS, Line, OneAddress, Order, Orders, Product, Shared
from aspyx_service import ServiceManager

OneAddress.port = int(sys.argv[1])
manager = Environment(Shared).get(ServiceManager)
order = Order(7, "Änne ✓", [Line(Product("tea", 2.5, ["a", "b"]), 2), Line(Product("jam", 0.1, []), 1)])


async def main() -> None:
    # On one loop: its client is tied to the first.
    for channel in CHANNELS:
        orders = manager.get_service(Orders, preferred_channel=channel)
        for result in (orders.echo(order), await orders.aecho(order)):
            assert result == order, result
            assert type(result.lines[0].product) is Product, result
        print(f"{channel}: {orders.describe(3, 'Bob', True)}")
        try:
            orders.fail("no tea left")
        except Exception as error:
            print(f"{type(error).__name__}: {error}")


asyncio.run(main())
