"""The shop in one process: web page, worker and engine.

python -m examples.orders
python -m examples.orders --database postgresql://localhost/shop --port 8000
"""

import argparse

import uvicorn

from examples.orders.web import create_app


def main() -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m examples.orders", description="A shop with a web page.")
    parser.add_argument("--database", default="sqlite:///orders.sqlite3", help="postgresql://… or sqlite:///…")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--packing", type=float, default=15.0, help="seconds in which an order may still be changed")
    options = parser.parse_args()
    app = create_app(options.database, packing_seconds=options.packing)
    print(f"the shop is open at http://127.0.0.1:{options.port}; close it with Ctrl-C", flush=True)
    uvicorn.run(app, host="127.0.0.1", port=options.port, log_level="warning")


main()
