"""Decrypts for the Web UI, the CLI and whoever else asks over HTTP; its port is in ``port.txt``."""

import asyncio
from pathlib import Path

from aiohttp import web
from codec import SecretCodec
from google.protobuf import json_format
from temporalio.api.common.v1 import Payloads


async def decode(request: web.Request) -> web.Response:
    """POST payloads as JSON, get them decrypted."""
    payloads = json_format.Parse(await request.read(), Payloads())
    plain = Payloads(payloads=await SecretCodec().decode(list(payloads.payloads)))
    return web.Response(text=json_format.MessageToJson(plain), content_type="application/json")


async def main() -> None:
    """Serve until Ctrl-C."""
    app = web.Application()
    app.router.add_post("/decode", decode)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    Path("port.txt").write_text(str(runner.addresses[0][1]))
    print("ready")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
