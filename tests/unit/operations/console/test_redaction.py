"""What is hidden is taken out of text, in each of its usual forms."""

from __future__ import annotations

import pytest

from operations.console.redaction import hide, redacted

pytestmark = pytest.mark.unit


def test_a_secret_is_taken_out_in_its_usual_encodings() -> None:
    hide(["p@ss/word", "p@ss/word-longer"])
    assert redacted("p@ss/word-longer p%40ss%2Fword cEBzcy93b3Jk x") == "[secret] [secret] [secret] x"


@pytest.mark.parametrize(
    ("secret", "written"),
    [
        ('pass"word', r"pass\"word"),
        ('pä"word', r"p\u00e4\"word"),
        ('pä"word', r"pä\"word"),
        ("pass&<word>", r"pass\u0026\u003cword\u003e"),
    ],
    ids=["quote", "Python", "other letters", "Go"],
)
def test_a_secret_is_taken_out_as_json_writes_it(secret: str, written: str) -> None:
    hide([secret])
    assert redacted(f'{{"password": "{written}"}}') == '{"password": "[secret]"}'


def test_lines_of_a_secret_of_many_lines_are_taken_out_each() -> None:
    hide(["first-line\nsecond-line"])
    assert redacted("got second-line") == "got [secret]"


def test_very_short_values_and_no_values_change_nothing() -> None:
    assert redacted("a banana") == "a banana"
    hide(["a", ""])
    assert redacted("a banana") == "a banana"


def test_redacted_text_stays_as_it_is() -> None:
    hide(["secret"])
    assert redacted(redacted("the secret")) == "the [secret]"
