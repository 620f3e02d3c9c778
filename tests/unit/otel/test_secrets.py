"""The content of files from which a collector reads a secret; engine tests show that it reads them."""

from __future__ import annotations

import json

import pytest

import otel

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("value", "content"),
    [("plain", "plain"), ("0123", "0123"), ("a$b", "a$$b"), ("${env:HOME}", "$${env:HOME}"), ('"q" #x', '"q" #x')],
)
def test_a_recent_collector_gets_the_value_with_dollars_doubled(value: str, content: str) -> None:
    assert otel.secret_file(value) == content


@pytest.mark.parametrize("value", ["plain", "0123", "true", "null", 'say "hi" \\ #x: y', "ünï", "\t"])
def test_an_old_collector_gets_quoted_yaml(value: str) -> None:
    # JSON's strings are YAML's.
    assert json.loads(otel.secret_file(value, version="0.96.0")) == value


def test_no_dollar_is_left_that_an_old_collector_could_expand() -> None:
    content = otel.secret_file("a$b${env:HOME}$", version="0.96.0")

    assert content == '"a${$}b${$}{env:HOME}${$}"'


@pytest.mark.parametrize("version", otel.VERSIONS)
@pytest.mark.parametrize("value", ["", "line\n", "two\nlines", "a\rb", "a\0b"])
def test_an_invalid_secret_is_refused_without_repeating_it(value: str, version: str) -> None:
    with pytest.raises(otel.ConfigurationError) as error:
        otel.secret_file(value, version=version)

    assert not value or value not in str(error.value)
