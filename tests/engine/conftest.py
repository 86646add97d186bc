"""What is asserted outside of the test modules shows its values, too."""

import pytest

pytest.register_assert_rewrite(*(f"tests.engine.{name}" for name in ("actions", "drawn", "life", "sound", "support")))
