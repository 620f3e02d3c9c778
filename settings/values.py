"""The kinds of value that settings have: each an annotated type with its rule in words.

A little longer than other files: it is one list, in which a kind's check stands next to those like it.
"""

from __future__ import annotations

import ipaddress
import os
import re
import ssl
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, Strict
from pydantic_core import PydanticCustomError

from settings import addresses

PROJECT_ROOT = Path(__file__).resolve().parent.parent
"""Relative paths in settings start here, wherever Pulumi was started."""
LONGEST_BYTES = 65_536
"""Of one value: the kernel starts no process with a variable of twice that, and many of these have to fit."""
CPUS_RULE = "must be a number of CPUs from 0.1 to 1024, such as 1.5: in steps of 0.01 below 10, and of 0.1 above"

_HOST = re.compile(
    r"(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*"
)
_COMPONENT = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    # A host may have capitals, and a path may not.
    r"([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*(:[0-9]+)?/)?"
    rf"{_COMPONENT}(/{_COMPONENT})*(:[A-Za-z0-9_][A-Za-z0-9._-]{{0,127}})?(@sha256:[0-9a-f]{{64}})?"
)


@dataclass(frozen=True, slots=True)
class Rule:
    """Metadata of an annotated type: what holds for a valid value, as the end of a sentence."""

    text: str


@dataclass(frozen=True, slots=True)
class Variable:
    """Metadata of a setting: the environment variable of the server or the collector that it decides.

    It cannot be set in `serverEnvironment` as well.
    """

    name: str
    synonyms: tuple[str, ...] = ()
    """Other variables that the program reads for the same purpose."""


@dataclass(frozen=True, slots=True)
class ProviderVariable(Variable):
    """The same for a setting of a model provider, whose value the server gets in this variable as it is."""

    suffices: bool = False
    """Whether this setting alone lets the server use models; without any such one `make up` advises to set one."""


def _broken(rule: str, *, example: str | None = None) -> PydanticCustomError:
    """An error whose text is the rule alone; pydantic's own texts can show the value."""
    return PydanticCustomError("rule", "{rule}", {"rule": rule, "example": example})


def _bind_address(value: str) -> str:
    try:
        address = ipaddress.IPv4Address(value)
    except ValueError:
        address = None
    if address is None or address.is_multicast or address == ipaddress.IPv4Address("255.255.255.255"):
        raise _broken(
            "must be an IPv4 address of this machine: 127.0.0.1 (reached from here only) "
            "or 0.0.0.0 (every interface)"
        )
    return value


def _subnet(value: object) -> ipaddress.IPv4Network:
    rule = "must be a private IPv4 network of at least 256 addresses, written like 10.87.0.0/22"
    if isinstance(value, ipaddress.IPv4Network):
        network = value
    else:
        if not isinstance(value, str) or "/" not in value:
            raise _broken(rule)
        try:
            network = ipaddress.IPv4Network(value)
        except ValueError:
            raise _broken(rule + " (no bits set after the prefix)") from None
    forbidden = network.is_global or network.is_loopback or network.is_link_local or network.is_multicast
    # Of 0.0.0.0/8 and 240.0.0.0/4 no machine takes an address.
    unusable = network.is_reserved or network.network_address in ipaddress.IPv4Network("0.0.0.0/8")
    if network.prefixlen > 24 or network.prefixlen < 8 or forbidden or unusable:
        raise _broken(rule)
    return network


def is_image_reference(value: str) -> bool:
    """Whether an engine takes a text as the name of an image."""
    # It takes 64 hexadecimal digits for an id.
    return bool(_REFERENCE.fullmatch(value)) and len(value) <= 255 and not re.fullmatch("[0-9a-f]{64}", value)


def _image_reference(value: str) -> str:
    if not is_image_reference(value):
        raise _broken("must be an image reference such as registry.example/debian:trixie-slim")
    return value


def _path(value: str) -> Path:
    # Unlike `Path.expanduser`, it leaves alone a `~user` that does not exist.
    path = Path(os.path.expanduser(value))  # noqa: PTH111
    return path if path.is_absolute() else PROJECT_ROOT / path


def _ca_bundle(value: object) -> Path:
    path = _path(value) if isinstance(value, str) else value
    if not isinstance(path, Path):
        raise _broken("must be the path of a file")
    try:
        content = path.read_bytes()
    except OSError:
        raise _broken("must be the path of a file that exists and can be read") from None
    if b"PRIVATE KEY-----" in content:
        raise _broken("must contain certificates only, but it contains a private key")
    try:
        # Most programs skip what they cannot read, and then trust no certificate without reporting it.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except ssl.SSLError:
        raise _broken("must be a file of certificates in PEM format (-----BEGIN CERTIFICATE-----)") from None
    return path


def _source_directory(value: object) -> Path:
    path = _path(value) if isinstance(value, str) else value
    if not isinstance(path, Path) or not path.is_dir():
        raise _broken("must be the path of a directory that exists")
    if not (path / "letta" / "__init__.py").is_file():
        raise _broken("must be the root of the server's source: a directory that holds letta/__init__.py")
    path = path.resolve()
    if ":" in str(path):
        raise _broken("must be a path without colons, which separate the parts of a mount")
    return path


def _url(value: str) -> str:
    rule = "must be a URL with its scheme, such as https://host.example or http://host.example:8080"
    try:
        parts = urlsplit(value)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise _broken(rule) from None
    if parts.scheme not in {"http", "https"} or not host or port == 0 or not _is_host(host):
        raise _broken(rule)
    if re.search(r"[\s\x00-\x1f\x7f]", value):
        raise _broken("must be a URL without spaces or control characters")
    if "@" in parts.netloc:
        raise _broken("must be a URL without user or password in it: credentials have settings of their own")
    return value


def _is_host(host: str) -> bool:
    """True for a name or address; an IPv6 address arrives here without its brackets."""
    if ":" in host:
        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            return False
        return True
    return _HOST.fullmatch(host) is not None


def _reachable(value: str) -> str:
    value = _url(value)
    refusal = addresses.refusal(value)
    if refusal:
        raise _broken(refusal.rule, example=refusal.example)
    return value


def _base_url(value: str) -> str:
    parts = urlsplit(_reachable(value))
    if parts.query or parts.fragment or "?" in value or "#" in value:
        raise _broken("must be a URL without ? and #: the server appends paths to it")
    return value


def _endpoint(value: str) -> str:
    parts = urlsplit(_url(value))
    if not addresses.has_only_origin(parts) or "?" in value or "#" in value:
        raise _broken("must be a URL of scheme, host and port only, such as https://host.example:8443")
    return addresses.normalised(_reachable(value))


def _host_name(value: str) -> str:
    if not _HOST.fullmatch(value) or "." not in value:
        raise _broken("must be a host name without scheme or path, such as datadoghq.eu")
    return value


def _identifier(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]{0,62}", value):
        raise _broken("must be a name of at most 63 letters, digits, _ and -")
    return value


def _database_name(value: str) -> str:
    # Collectors write it into statements, old ones without quotes.
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,62}", value):
        raise _broken("must be a name of at most 63 letters, digits and _, not starting with a digit")
    return value


def _environment_name(value: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,31}", value):
        raise _broken("must be at most 32 lower-case letters, digits and -, starting with a letter")
    return value


def _api_version(value: str) -> str:
    # Pulumi takes an unquoted date in a stack file for a point in time.
    value = value.removesuffix(" 00:00:00 +0000 UTC")
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}(-preview)?", value):
        raise _broken("must be a date such as 2024-10-21, optionally followed by -preview")
    return value


def _credential(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not text.strip():
        raise _broken("must not be empty")
    if not text.isprintable():
        raise _broken("must not contain control characters or line breaks")
    if text != text.strip():
        raise _broken("must not start or end with a space")
    if len(text.encode()) > LONGEST_BYTES:
        raise _broken(f"must not be longer than {LONGEST_BYTES} bytes")
    return value


def _api_key(value: SecretStr) -> SecretStr:
    # It travels in an HTTP header.
    if not _credential(value).get_secret_value().isascii():
        raise _broken("must consist of ASCII characters: letters, digits and the usual signs")
    return value


def _cpus(value: float) -> float:
    # What the provider reads back as another number would replace the service at each update.
    number = Decimal(str(value))
    if number != round(number, 2 if number < 10 else 1):
        raise _broken(CPUS_RULE)
    return value


def _server_password(value: SecretStr) -> SecretStr:
    # It travels in an HTTP header, a health check's shell, and snippets that people paste into shells and URLs.
    if not re.fullmatch(r"[A-Za-z0-9._~-]{16,128}", value.get_secret_value()):
        raise _broken("must be 16 to 128 characters: letters, digits and . _ ~ -")
    return value


def _encryption_key(value: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[A-Za-z0-9+/=._~-]{32,256}", value.get_secret_value()):
        raise _broken("must be 32 to 256 characters: letters, digits and + / = . _ ~ -")
    return value


Whole = Annotated[int, Strict()]
Flag = Annotated[bool, Strict(), Rule("must be true or false")]
Port = Annotated[Whole, Field(ge=1, le=65535), Rule("must be a port: a whole number from 1 to 65535")]
Megabytes = Annotated[Whole, Field(le=1_048_576)]
Cpus = Annotated[
    float, Strict(), Field(ge=0.1, le=1024, allow_inf_nan=False), AfterValidator(_cpus), Rule(CPUS_RULE)
]
Text = Annotated[str, Strict(), Rule("must be text")]
BindAddress = Annotated[Text, AfterValidator(_bind_address)]
Subnet = Annotated[ipaddress.IPv4Network, BeforeValidator(_subnet)]
ImageReference = Annotated[Text, AfterValidator(_image_reference)]
CaBundle = Annotated[Path, BeforeValidator(_ca_bundle)]
SourceDirectory = Annotated[Path, BeforeValidator(_source_directory)]
Url = Annotated[Text, AfterValidator(_url)]
BaseUrl = Annotated[Text, AfterValidator(_base_url), AfterValidator(addresses.normalised)]
OpenaiUrl = Annotated[Text, AfterValidator(_base_url), AfterValidator(addresses.openai)]
OllamaUrl = Annotated[Text, AfterValidator(_base_url), AfterValidator(addresses.ollama)]
AzureUrl = Annotated[Text, AfterValidator(_base_url), AfterValidator(addresses.azure)]
Endpoint = Annotated[Text, AfterValidator(_endpoint)]
HostName = Annotated[Text, AfterValidator(_host_name)]
Identifier = Annotated[Text, AfterValidator(_identifier)]
DatabaseName = Annotated[Text, AfterValidator(_database_name)]
EnvironmentName = Annotated[Text, AfterValidator(_environment_name)]
ApiVersion = Annotated[Text, AfterValidator(_api_version)]
Credential = Annotated[SecretStr, AfterValidator(_credential), Rule("must be text")]
ApiKey = Annotated[SecretStr, AfterValidator(_api_key), Rule("must be text")]
ServerPassword = Annotated[SecretStr, AfterValidator(_server_password), Rule("must be text")]
EncryptionKey = Annotated[SecretStr, AfterValidator(_encryption_key), Rule("must be text")]
Names = Annotated[dict[str, Text], Rule("must map names to strings")]
SecretNames = Annotated[dict[str, Credential], Rule("must map names to strings")]
