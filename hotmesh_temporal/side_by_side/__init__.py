"""A Temporal server and your own database side by side: one client over both, and workers for both in one process.

For the time of a migration, or for good::

    from hotmesh_temporal.side_by_side import SideBySidePlugin

    client = await Client.connect("temporal:7233", plugins=[SideBySidePlugin("postgresql://…/orders", share=0.1)])
"""

from __future__ import annotations

from .calls import Side
from .choice import Choice, NewWorkflow, Rule
from .plugin import SideBySidePlugin

__all__ = ["Choice", "NewWorkflow", "Rule", "Side", "SideBySidePlugin"]
