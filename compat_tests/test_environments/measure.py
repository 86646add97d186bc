"""How long the suite of fifty tests takes on each environment: ``python -m compat_tests.test_environments.measure``.

Prints the table of docs/test_environments.md. A figure is the time that pytest gives for the session: imports and the
collection of tests are not in it, environments are.
"""

from __future__ import annotations

import re
import resource
import subprocess
import sys
import time

SUITE = "compat_tests/test_environments/suite"
NAMES = {
    "time-skipping": "`hotmesh_temporal.testing`, `start_time_skipping()`",
    "sdk-time-skipping": "`temporalio.testing`, `start_time_skipping()`: the Java test server",
    "local": "`hotmesh_temporal.testing`, `start_local()`",
    "sdk-local": "`temporalio.testing`, `start_local()`: the development server",
}


def suite(environment: str, *options: str) -> tuple[float, str]:
    """Seconds that the suite took, and what failed."""
    command = [sys.executable, "-m", "pytest", "-q", SUITE, "--environment", environment, "--timeout=60", *options]
    begin = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    tail = re.search(r"^.*\b(passed|failed)\b.* in ([\d.]+)s", done.stdout, re.MULTILINE)
    if tail is None:
        return time.monotonic() - begin, (done.stdout + done.stderr)[-500:]
    failed = re.findall(r"^(?:FAILED|ERROR) \S+::(\S+)", done.stdout, re.MULTILINE)
    return float(tail[2]), ", ".join(failed)


def main() -> None:
    print("| | one for each test | one for all | CPU of both |\n|---|---|---|---|")
    notes: list[str] = []
    for environment, name in NAMES.items():
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        each, failed = suite(environment)
        shared, failed_shared = suite(environment, "--one-environment")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(f"| {name} | {each:.0f} s | {shared:.0f} s | {cpu:.0f} s |", flush=True)
        notes += [f"{name}: {text}" for text in (failed, failed_shared) if text]
    print("\nFailed:", *notes or ["nothing"], sep="\n")


if __name__ == "__main__":
    main()
