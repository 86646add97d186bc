"""Numbers in Roman letters, and how they are written into payloads."""

from dataclasses import dataclass
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.converter import CompositePayloadConverter, DefaultPayloadConverter, EncodingPayloadConverter

DIGITS = {"X": 10, "IX": 9, "V": 5, "IV": 4, "I": 1}


@dataclass(frozen=True)
class Roman:
    """A number below 40."""

    value: int

    def __str__(self) -> str:
        rest, text = self.value, ""
        for letters, value in DIGITS.items():
            text += letters * (rest // value)
            rest %= value
        return text


class RomanConverter(EncodingPayloadConverter):
    """One encoding: text/roman."""

    @property
    def encoding(self) -> str:
        """See base class."""
        return "text/roman"

    def to_payload(self, value: Any) -> Payload | None:
        """See base class."""
        if not isinstance(value, Roman):
            return None
        return Payload(metadata={"encoding": self.encoding.encode()}, data=str(value).encode())

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:
        """See base class."""
        del type_hint
        value, text = 0, payload.data.decode()
        for letters, worth in DIGITS.items():
            while text.startswith(letters):
                value, text = value + worth, text[len(letters) :]
        return Roman(value)


class RomanPayloadConverter(CompositePayloadConverter):
    """The default ones, after ours."""

    def __init__(self) -> None:
        super().__init__(RomanConverter(), *DefaultPayloadConverter.default_encoding_payload_converters)
