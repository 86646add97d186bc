"""``python -m hotmesh_temporal``: the same as the command ``hotmesh-temporal``."""

from .cli.main import main

main(prog_name="hotmesh-temporal")
