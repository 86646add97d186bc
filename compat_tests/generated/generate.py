"""Makes programs up. The same seed gives the same program; see `program` for the rules that keep them free of races."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import TypeVar

from compat_tests.generated.program import Node

T = TypeVar("T")

Make = Callable[["Place"], Node]

FIRST = ("gate", "hold")
"""What a branch may begin with: it waits for the driver."""

CANCELLATIONS = ("TRY_CANCEL", "WAIT_CANCELLATION_COMPLETED", "ABANDON")
CHILD_CANCELLATIONS = (*CANCELLATIONS, "WAIT_CANCELLATION_REQUESTED")
CLOSES = ("TERMINATE", "ABANDON", "REQUEST_CANCEL")


class Place:
    """Where a node is to stand, as far as that limits what it may be."""

    def __init__(self, depth: int = 0, *, children: bool = True, is_child: bool = False, handler: bool = False) -> None:
        self.depth = depth
        self.children = children
        """A child that is cancelled with this place may stand here."""
        self.is_child = is_child
        self.handler = handler
        """In an update or a signal: its first task may be in the way of the driver."""

    def inner(self, *, children: bool = True) -> Place:
        """One level further in."""
        return Place(self.depth + 1, children=self.children and children, is_child=self.is_child, handler=self.handler)


def generate(seed: int) -> Node:
    """The program of a seed."""
    return Generator(random.Random(seed)).root()


class Generator:
    """Draws from one source of randomness."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._ids = 0
        self._budget = rng.randint(4, 16)
        """How many nodes the whole program may have, roughly."""

    def root(self) -> Node:
        how = self._pick({"plain": 10, "signal": 2, "delay": 1, "update": 2, "limited": 0.3})
        start: Node = {"how": how}
        if how == "update":
            start["update"] = self._update(Place(2, handler=True))
        program = self._program(Place())
        program["start"] = start
        if how in ("update", "limited"):
            program["gate"] = self._do_gate(Place(2))
        return program

    def _program(self, place: Place) -> Node:
        program: Node = {
            "body": self._block(place, self._rng.randint(1, 5)),
            "cleanup": self._do_gate(place),
            "on_cancel": self._pick({"cancel": 4, "complete": 1, "fail": 1}),
            "end": self._end(place),
        }
        if place.is_child or self._chance(0.3):
            program["gate"] = self._do_gate(place)
        return program

    def _end(self, place: Place) -> Node:
        how = self._pick({"ok": 8, "fail": 2, "again": 1.5 if place.depth < 2 else 0})
        end: Node = {"how": how}
        if how != "again" and self._chance(0.15):
            end["last"] = [self._parked(may_cancel=False)]
        if how == "fail":
            end["until"] = self._rng.choice([2, 3])
            end["fatal"] = self._chance(0.3)
        if how == "again":
            end["program"] = self._program(Place(place.depth + 1, is_child=place.is_child))
        return end

    def _block(self, place: Place, length: int, *, first: bool = False) -> list[Node]:
        block = [self._node(place, first=first and number == 0) for number in range(length) if self._spend() or first]
        return block or [self._do_gate(place)]

    def _spend(self) -> bool:
        self._budget -= 1
        return self._budget >= 0

    def _node(self, place: Place, *, first: bool) -> Node:
        weights = {kind: weight for kind, weight in WEIGHTS.items() if self._fits(kind, place)}
        kind = self._rng.choice(FIRST) if first else self._pick(weights)
        make: Make = getattr(self, f"_do_{kind}")
        return make(place)

    def _fits(self, kind: str, place: Place) -> bool:
        if kind in ("parallel", "background", "child"):
            return place.depth < 3
        if kind == "local_hold":
            return not place.handler
        if kind == "fail_task":
            return place.depth == 0
        return True

    # Nodes.

    def _new(self, kind: str, **options: object) -> Node:
        self._ids += 1
        return {"kind": kind, "id": self._ids, **options}

    def _held(self, kind: str, **options: object) -> Node:
        return self._new(kind, order=round(self._rng.random(), 4), **options)

    def _do_gate(self, place: Place) -> Node:
        node = self._held("gate")
        if self._chance(0.3):
            node["timed"] = True
        before = [self._step(place) for _ in range(self._pick({0: 6, 1: 3, 2: 1})) if self._spend()]
        return {**node, "before": before} if before else node

    def _do_hold(self, place: Place) -> Node:
        ends = self._pick(
            {
                ("ok",): 5,
                ("fails", "ok"): 2,
                ("fails", "fails"): 1,
                ("fatal",): 1,
                ("async",): 1,
                ("fails", "async"): 0.5,
            }
        )
        cancellation = self._rng.choice(CANCELLATIONS)
        # The SDK's core cannot take the failure of an activity that was abandoned: the workflow would be stuck.
        return self._held(
            "hold",
            ends=["ok"] if cancellation == "ABANDON" else list(ends),
            attempts=self._rng.choice([1, 2]),
            cancellation=cancellation,
            when_cancelled=self._rng.choice(["cancel", "cancel", "ok"]),
        )

    def _do_act(self, place: Place) -> Node:
        how = self._pick(
            {"ok": 8, "retry": 3, "fatal": 1, "excluded": 1, "delay": 1, "expires": 1}
            | {"hang": 0.5, "silent": 0.5, "unserved": 0.5}
        )
        node = self._new("act", how=how)
        if how == "retry":
            node |= {"failures": self._rng.randint(1, 3), "attempts": self._rng.randint(1, 3)}
        if how == "delay":
            node |= {"failures": 1, "attempts": 2, "delay": 0.3}
        if how == "expires":
            node |= {"failures": 9, "attempts": 5, "interval": 20}
        if self._chance(0.2):
            node["summary"] = "summary"
        return self._maybe_fatal(node, 0.05)

    def _do_background(self, place: Place) -> Node:
        return self._new("background", body=self._block(place.inner(children=False), 1, first=True))

    def _do_sleep(self, place: Place) -> Node:
        node = self._new("sleep", seconds=round(self._rng.uniform(0.01, 0.2), 2))
        return {**node, "summary": "nap"} if self._chance(0.3) else node

    def _do_wait(self, place: Place) -> Node:
        return self._maybe_fatal(self._new("wait", seconds=round(self._rng.uniform(0.01, 0.2), 2)), 0.05)

    def _do_local(self, place: Place) -> Node:
        how = self._pick({"ok": 4, "retry": 2, "backoff": 0.7, "fatal": 1})
        node = self._new("local", how=how)
        if how == "retry":
            node |= {"failures": self._rng.randint(1, 2), "attempts": self._rng.randint(1, 3), "interval": 0.01}
        if how == "backoff":
            node |= {"failures": 1, "attempts": 2, "interval": 0.3}
        return node

    def _do_local_hold(self, place: Place) -> Node:
        node = {**self._parked(), "after": self._do_gate(place)}
        if self._chance(0.5):
            held = [self._do_hold(place) for _ in range(self._rng.randint(1, 2))]
            node |= {"held": held, "gate": self._do_gate(place), "during": [self._new("release"), *node["during"]]}
        return node

    def _parked(self, *, may_cancel: bool = True) -> Node:
        """A run that is cancelled as it ends carries out its last task once more, and may not get past what it had
        under way in it: the SDK's core fails that task again and again.
        """
        weights = {"signal": 4, "release": 3} | ({"cancel": 0.7} if may_cancel else {})
        kinds = [self._pick(weights) for _ in range(self._rng.randint(1, 3))]
        return self._new("local_hold", during=[self._new(kind) for kind in kinds])

    def _do_patch(self, place: Place) -> Node:
        return self._new("patch", deprecate=self._chance(0.2))

    def _do_memo(self, place: Place) -> Node:
        return self._new("memo")

    def _do_random(self, place: Place) -> Node:
        return self._new("random")

    def _do_fail_task(self, place: Place) -> Node:
        return self._new("fail_task")

    def _do_twin(self, place: Place) -> Node:
        return self._new("twin")

    def _do_external(self, place: Place) -> Node:
        target = self._rng.choice(["parent", "nobody"])
        what = self._rng.choice(["signal", "cancel"])
        return self._maybe_fatal(
            self._new("external", target=target, what=what, after=self._do_gate(place.inner())), 0.05
        )

    def _do_parallel(self, place: Place) -> Node:
        count = self._rng.randint(2, 3)
        with_child = self._rng.randrange(count)
        branches = [
            self._block(place.inner(children=number == with_child), self._rng.randint(1, 3), first=True)
            for number in range(count)
        ]
        node = self._new("parallel", join=self._rng.choice(["all", "first"]), branches=branches)
        return {**node, "after": self._do_gate(place.inner())} if node["join"] == "first" else node

    def _do_child(self, place: Place) -> Node:
        cancellations = CHILD_CANCELLATIONS if place.children else ("ABANDON",)
        node = self._new(
            "child",
            cancellation=self._rng.choice(cancellations),
            close=self._rng.choice(CLOSES),
            join=self._chance(0.7),
        )
        limit = self._pick({"": 10, "attempts": 3, "run_timeout": 0.8})
        if limit == "attempts":
            node |= {"attempts": 2, "interval": 1}
        if limit == "run_timeout":
            node["run_timeout"] = 4
        if self._chance(0.2):
            node |= {"memo": True, "summary": "child"}
        node["program"] = self._program(Place(place.depth + 1, is_child=True))
        node["then"] = [self._meddling(place) for _ in range(self._pick({0: 6, 1: 2, 2: 1}))]
        node["after"] = self._do_gate(place.inner())
        return self._maybe_fatal(node, 0.1)

    def _meddling(self, place: Place) -> Node:
        kind = self._pick(
            {"signal": 3, "external_signal": 2, "external_cancel": 1, "cancel": 1 if place.children else 0}
        )
        return self._new(kind, gate=self._do_gate(place.inner()))

    def _maybe_fatal(self, node: Node, chance: float) -> Node:
        return {**node, "fatal": True} if self._chance(chance) else node

    # Steps of the client.

    def _step(self, place: Place) -> Node:
        deep = place.depth >= 3
        kind = self._pick(
            {"signal": 3, "query": 2, "describe": 1.5, "cancel": 0.8, "terminate": 0.2, "reject": 1}
            | ({} if deep else {"perform": 1.5, "update": 3})
        )
        if kind == "update":
            return self._update(Place(place.depth + 1, children=False, is_child=place.is_child, handler=True))
        if kind == "perform":
            inner = Place(place.depth + 1, children=False, is_child=place.is_child, handler=True)
            return self._new("perform", body=self._block(inner, self._rng.randint(1, 2)))
        if kind == "query":
            return self._new("query", known=self._chance(0.8))
        return self._new(kind)

    def _update(self, place: Place) -> Node:
        return self._new("update", body=self._block(place, self._rng.randint(0, 2)) if self._chance(0.7) else [])

    # Drawing.

    def _chance(self, chance: float) -> bool:
        return self._rng.random() < chance

    def _pick(self, weights: Mapping[T, float]) -> T:
        return self._rng.choices(list(weights), list(weights.values()))[0]


WEIGHTS: Mapping[str, float] = {
    "act": 4,
    "hold": 2,
    "gate": 2,
    "sleep": 1,
    "wait": 0.7,
    "local": 1.5,
    "local_hold": 1,
    "patch": 0.6,
    "memo": 0.6,
    "random": 0.2,
    "child": 2.5,
    "twin": 0.2,
    "external": 1,
    "parallel": 3,
    "background": 0.8,
    "fail_task": 0.3,
}
