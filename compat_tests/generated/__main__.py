"""Look at programs by hand: `python -m compat_tests.generated show 7 20-29`, or with a target in place of ``show``."""

from __future__ import annotations

import asyncio
import sys
import time

from compat_tests.generated.fleet import Fleet
from compat_tests.generated.generate import generate
from compat_tests.generated.program import describe
from compat_tests.runner import TargetPool


async def main() -> None:
    """Print which seeds differ, and how."""
    target, *texts = sys.argv[1:]
    seeds = [seed for text in texts for seed in _range(text)]
    if target == "show":
        return print("\n\n".join(f"seed {seed}\n{describe(generate(seed))}" for seed in seeds))
    pool = TargetPool()
    fleet, begin = Fleet(pool), time.monotonic()
    differences = await asyncio.gather(*(fleet.compare(target, generate(seed), f"seed-{seed}") for seed in seeds))
    for seed, found in zip(seeds, differences, strict=True):
        if found:
            print(f"=== seed {seed}\n{describe(generate(seed))}\n{found}\n")
    bad = [seed for seed, found in zip(seeds, differences, strict=True) if found]
    print(f"{len(bad)} of {len(seeds)} differ in {time.monotonic() - begin:.1f} s: {bad}")
    await fleet.close()
    await pool.close()


def _range(text: str) -> range:
    """``7`` or ``0-99``."""
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


if __name__ == "__main__":
    asyncio.run(main())
