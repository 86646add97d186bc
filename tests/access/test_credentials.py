"""API keys, client certificates and JSON Web Tokens: who they are, until when, and what their files may say."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt import algorithms

from hotmesh_temporal.authorization import Claims, Credentials, InvalidCredentials, Role
from hotmesh_temporal.authorization.api_keys import ApiKeys, hash_of, new_key, parse
from hotmesh_temporal.authorization.files import InvalidAccess
from hotmesh_temporal.authorization.json_web_tokens import JsonWebTokens, TokenRules
from hotmesh_temporal.authorization.token_keys import KeyFile, KeyUrl, parse_keys

COMMAND = str(Path(sys.executable).with_name("hotmesh-temporal"))
PEM = serialization.Encoding.PEM
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
SECRET = b"a shared secret that is long enough to be one"


def bearer(token: str, scheme: str = "Bearer") -> Credentials:
    return Credentials({"authorization": f"{scheme} {token}"})


def entry(key: str, *lines: str) -> str:
    return "\n".join(["[[key]]", 'name = "web"', f'hash = "{hash_of(key)}"', 'permissions = ["a:write"]', *lines, ""])


async def test_a_key_is_known_by_its_hash_until_it_expires(tmp_path: Path) -> None:
    path, keys = tmp_path / "keys.toml", [new_key() for _ in range(4)]
    ends = ["", "expires = 2020-01-31T00:00:00Z", "expires = 2999-12-31", "expires = 2020-01-31T00:00:00"]
    path.write_text("".join(entry(key, end) for key, end in zip(keys, ends, strict=True)))
    authenticator = ApiKeys(path)
    claims = Claims("web", Role.UNDEFINED, {"a": Role.WRITER})
    assert await authenticator.authenticate(bearer(keys[0])) == claims
    assert await authenticator.authenticate(bearer(keys[2], "bearer")) == claims
    for expired in (keys[1], keys[3]):
        with pytest.raises(InvalidCredentials, match="web has expired on 2020-01-31"):
            await authenticator.authenticate(bearer(expired))
    with pytest.raises(InvalidCredentials, match="no such API key"):
        await authenticator.authenticate(bearer(new_key()))
    assert await authenticator.authenticate(bearer("ey.ey.ey")) is None
    assert await authenticator.authenticate(Credentials({})) is None
    assert keys[0] not in path.read_text()


async def test_the_file_is_read_again_when_it_changes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, first, second = tmp_path / "keys.toml", new_key(), new_key()
    path.write_text(entry(first))
    authenticator = ApiKeys(path)
    path.write_text("[[key")
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert await authenticator.authenticate(bearer(first))
    assert len([each for each in caplog.records if "the change is not used" in each.message]) == 1
    path.write_text(entry(second) + "# renewed")
    assert await authenticator.authenticate(bearer(second))
    with pytest.raises(InvalidCredentials):
        await authenticator.authenticate(bearer(first))


async def test_a_certificate_is_known_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    path.write_text('[[certificate]]\ncommon_name = "billing"\npermissions = ["b:worker"]\n')
    authenticator = ApiKeys(path)
    shown = Credentials({}, b"-----BEGIN", "billing")
    assert await authenticator.authenticate(shown) == Claims("billing", Role.UNDEFINED, {"b": Role.WORKER})
    assert await authenticator.authenticate(Credentials({}, b"-----BEGIN", "orders")) is None
    assert await authenticator.authenticate(Credentials({}, b"", "billing")) is None
    # Who says who they are in the request is not somebody else by the connection.
    assert await authenticator.authenticate(Credentials({"authorization": "x"}, b"-----BEGIN", "billing")) is None


HASH = f'hash = "{hash_of("x")}"'


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("[[key]]\n", "number 1 needs a hash"),
        ("[[keys]]\n", "'keys' is not known"),
        ("key = 1\n", "has to be written as"),
        (f"[[key]]\n{HASH}\n", "needs a name"),
        (f'[[key]]\n{HASH}\nname = "x"\n', "needs permissions"),
        (f'[[key]]\n{HASH}\nname = "x"\npermissions = ["a"]\n', "'a' is not of the form namespace:role"),
        (f'[[key]]\n{HASH}\nname = "x"\npermissions = ["a:read"]\nexpires = "x"\n', "has to be a date without quotes"),
        (f'[[key]]\n{HASH}\nname = "x"\npermissions = ["a:read"]\nexpire = 1\n', "'expire', which is not known"),
        ('[[key]]\nhash = "sha256:x"\nname = "x"\n', "as `hotmesh-temporal api-key new` prints it"),
        (entry("x") * 2, "is there twice"),
    ],
)
def test_what_is_wrong_in_the_file_is_said(text: str, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        parse(text.encode())


def test_the_command_makes_a_key_that_the_server_takes(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    command = [COMMAND, "api-key", "new", "--name", 'we"b\\', "--permission", "orders:write"]
    command += ["--permission", "billing:read", "--expires", "90d"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    path.write_text(done.stdout)
    key = done.stderr.splitlines()[-1]
    claims = asyncio.run(ApiKeys(path).authenticate(bearer(key)))
    assert claims == Claims('we"b\\', Role.UNDEFINED, {"orders": Role.WRITER, "billing": Role.READER})
    assert key not in done.stdout
    for wrong in (("--permission", "orders"), ("--permission", "a:read", "--expires", "soon")):
        done = subprocess.run(
            [COMMAND, "api-key", "new", "--name", "x", *wrong], capture_output=True, text=True, timeout=30, check=False
        )
        assert (done.returncode, done.stdout) == (2, "")


# -- tokens -------------------------------------------------------------------------------------------------------


def token(key: Any = RSA, algorithm: str = "RS256", key_id: str = "one", **content: Any) -> str:
    given = {"sub": "ada", "permissions": ["a:write", "temporal-system:read"], "exp": time.time() + 60, **content}
    kept = {name: value for name, value in given.items() if value is not None}
    return jwt.encode(kept, key, algorithm, headers={"kid": key_id} if key_id else {})


def jwks(*extra: dict[str, Any]) -> bytes:
    keys = [
        {**algorithms.RSAAlgorithm.to_jwk(RSA.public_key(), as_dict=True), "kid": "one", "use": "sig"},
        {**algorithms.ECAlgorithm.to_jwk(EC.public_key(), as_dict=True), "kid": "two"},
        {"kty": "RSA", "kid": "sealing", "use": "enc", "n": "AQAB", "e": "AQAB"},
        {"kty": "unheard of", "kid": "new"},
        *extra,
    ]
    return json.dumps({"keys": keys}).encode()


@pytest.fixture
def tokens(tmp_path: Path) -> Callable[..., JsonWebTokens]:
    """An authenticator by some rules, with the keys of a file."""

    def make(content: bytes = jwks(), **rules: Any) -> JsonWebTokens:
        path = tmp_path / "jwks.json"
        path.write_bytes(content)
        return JsonWebTokens(KeyFile(path), TokenRules(**rules))

    return make


ADA = Claims("ada", Role.READER, {"a": Role.WRITER})


async def test_a_token_that_is_signed_by_a_known_key(tokens: Callable[..., JsonWebTokens]) -> None:
    authenticator = tokens()
    assert await authenticator.authenticate(bearer(token())) == ADA
    assert await authenticator.authenticate(bearer(token(EC, "ES256", "two"), "bearer")) == ADA
    assert await authenticator.authenticate(bearer(token(key_id=""))) == ADA
    assert await authenticator.authenticate(bearer(token(permissions=None))) == Claims("ada")
    assert await authenticator.authenticate(bearer(token(permissions=["a", 7, "b:owner", "c:read"]))) == Claims(
        "ada", namespaces={"c": Role.READER}
    )
    assert await authenticator.authenticate(Credentials({})) is None


def unsigned() -> str:
    """A token of the algorithm "none", and one whose content was changed after it was signed."""
    header, content, _ = token().split(".")
    none = base64.urlsafe_b64encode(json.dumps({"alg": "none", "kid": "one"}).encode()).decode().rstrip("=")
    assert header
    return f"{none}.{content}."


def changed() -> str:
    header, _, signature = token().split(".")
    return ".".join((header, token(sub="eve").split(".")[1], signature))


def confused() -> str:
    """Signed with the public key as if it were a shared secret."""
    public = RSA.public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    import hashlib
    import hmac

    header = base64.urlsafe_b64encode(json.dumps({"alg": "HS256", "kid": "one"}).encode()).rstrip(b"=")
    content = token().split(".")[1].encode()
    signature = hmac.new(public, header + b"." + content, hashlib.sha256).digest()
    return b".".join((header, content, base64.urlsafe_b64encode(signature).rstrip(b"="))).decode()


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (lambda: token(OTHER_RSA), "Signature verification failed"),
        (lambda: token(key_id="three"), "none of the provider's keys"),
        (lambda: token(EC, "ES256", "one"), "alg value is not allowed"),
        (lambda: token(exp=time.time() - 60), "expired"),
        (lambda: token(nbf=time.time() + 60), "not yet valid"),
        (lambda: token(sub=None), "no 'sub'"),
        (lambda: token(SECRET, "HS256"), "alg value is not allowed"),
        (unsigned, "alg value is not allowed"),
        (changed, "Signature verification failed"),
        (confused, "alg value is not allowed"),
        (lambda: "nonsense", "Not enough segments"),
    ],
)
async def test_tokens_that_are_refused(
    tokens: Callable[..., JsonWebTokens], given: Callable[[], str], why: str
) -> None:
    with pytest.raises(InvalidCredentials, match=why):
        await tokens(algorithms=("RS256", "ES256", "HS256")).authenticate(bearer(given()))


async def test_audience_issuer_and_the_name_of_the_claim(tokens: Callable[..., JsonWebTokens]) -> None:
    authenticator = tokens(audience="orders", issuer="https://id.example.com", permissions_claim="roles")
    good: dict[str, Any] = {"aud": ["orders", "billing"], "iss": "https://id.example.com", "roles": ["b:read"]}
    assert await authenticator.authenticate(bearer(token(**good))) == Claims("ada", namespaces={"b": Role.READER})
    wrong_ones: list[dict[str, Any]] = [{"aud": "billing"}, {"aud": None}, {"iss": "https://elsewhere"}, {"iss": None}]
    for wrong in wrong_ones:
        with pytest.raises(InvalidCredentials):
            await authenticator.authenticate(bearer(token(**{**good, **wrong})))


async def test_a_shared_secret_is_for_those_who_ask_for_it(tokens: Callable[..., JsonWebTokens]) -> None:
    key = {"kty": "oct", "kid": "shared", "k": base64.urlsafe_b64encode(SECRET).decode().rstrip("=")}
    given = bearer(token(SECRET, "HS256", "shared"))
    with pytest.raises(InvalidCredentials):
        await tokens(jwks(key)).authenticate(given)
    assert await tokens(jwks(key), algorithms=("HS256",)).authenticate(given) == ADA


async def test_one_public_key_in_pem(tokens: Callable[..., JsonWebTokens], tmp_path: Path) -> None:
    public = RSA.public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    authenticator = tokens(public)
    assert await authenticator.authenticate(bearer(token(key_id="whatever"))) == ADA
    (tmp_path / "jwks.json").write_bytes(
        OTHER_RSA.public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo) + b"\n"
    )
    with pytest.raises(InvalidCredentials):
        await authenticator.authenticate(bearer(token()))
    assert await authenticator.authenticate(bearer(token(OTHER_RSA))) == ADA


def test_keys_that_do_not_do_are_told_apart() -> None:
    private = RSA.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    for content, text in {
        private: "a private key does not belong here",
        b"hello": "neither a JWKS",
        b'{"keys": []}': "no key to verify",
        b'{"keys": 1}': "neither a JWKS",
        b'{"keys": [{"kty": "x"}, 7]}': "no key to verify",
    }.items():
        with pytest.raises(ValueError, match=text):
            parse_keys(content)


class Provider:
    """An identity provider's JWKS by HTTP."""

    def __init__(self) -> None:
        self.content, self.asked, self.down = jwks(), 0, False
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.asked += 1
                self.send_response(503 if provider.down else 200)
                self.end_headers()
                self.wfile.write(provider.content)

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/keys"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def provider() -> Iterator[Provider]:
    running = Provider()
    yield running
    running.close()


async def test_keys_by_url_are_asked_for_again(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    from hotmesh_temporal.authorization import token_keys

    keys = KeyUrl(provider.url)
    await keys.load()
    authenticator = JsonWebTokens(keys)
    for _ in range(3):
        assert await authenticator.authenticate(bearer(token())) == ADA
    # A key that is not known is looked for, but not with every token that names it.
    for _ in range(3):
        with pytest.raises(InvalidCredentials):
            await authenticator.authenticate(bearer(token(OTHER_RSA, key_id="next")))
    assert provider.asked == 1
    monkeypatch.setattr(token_keys, "_AGAIN_SECONDS", 0.0)
    provider.content = jwks({**algorithms.RSAAlgorithm.to_jwk(OTHER_RSA.public_key(), as_dict=True), "kid": "next"})
    assert await authenticator.authenticate(bearer(token(OTHER_RSA, key_id="next"))) == ADA
    assert provider.asked == 2
    # What is known stays in force while the provider is down.
    provider.down = True
    monkeypatch.setattr(token_keys, "_REFRESH_SECONDS", 0.0)
    assert await authenticator.authenticate(bearer(token())) == ADA
    assert provider.asked == 3
    with pytest.raises(InvalidAccess, match="cannot be read"):
        await KeyUrl(provider.url).load()
    with pytest.raises(InvalidAccess, match="neither an http"):
        KeyUrl("ftp://example.com/keys")
