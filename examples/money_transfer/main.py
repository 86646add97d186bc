"""Three transfers: one that works, one to nobody, one while the bank is closed.

python examples/money_transfer/main.py
HOTMESH_CONNECTION=postgresql://localhost/mydatabase python examples/money_transfer/main.py
"""

import asyncio
import logging
import tempfile
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bank import Bank
from transfer import BankActivities, Order, Transfer

from hotmesh_temporal.client import Client, WorkflowHandle
from hotmesh_temporal.worker import Worker

QUEUE = "transfers"


async def start(client: Client, order: Order) -> WorkflowHandle[Transfer, str]:
    id = f"transfer-{uuid.uuid4()}"
    return await client.start_workflow(Transfer.run, order, id=id, task_queue=QUEUE)


async def main(folder: Path) -> None:
    bank = Bank(folder / "bank.sqlite3")
    bank.open_account("ada", 100)
    bank.open_account("bob", 0)
    client = await Client.connect()
    with ThreadPoolExecutor(4) as threads:
        ours = BankActivities(bank)
        activities = [ours.book, ours.take_back]
        async with Worker(
            client, task_queue=QUEUE, workflows=[Transfer], activities=activities, activity_executor=threads
        ):
            works = await start(client, Order("ada", "bob", 30))
            print("ada sends bob 30:", await works.result())
            nobody = await start(client, Order("ada", "nobody", 50))
            print("ada sends nobody 50:", await nobody.result())

            bank.closed = True
            late = await start(client, Order("ada", "bob", 5))
            await asyncio.sleep(1.5)
            print("the bank is closed; meanwhile:", await late.query(Transfer.state))
            bank.closed = False
            print("it opens again, ada sends bob 5:", await late.result())
    print("in the end ada has", bank.balance("ada"), "and bob has", bank.balance("bob"))
    await client.close()


if __name__ == "__main__":
    # A failed attempt is no news here.
    logging.getLogger("temporalio.activity").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(main(Path(name)))
