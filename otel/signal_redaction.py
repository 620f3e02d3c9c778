"""Takes credentials, and when asked what people and models wrote, out of traces and logs.

The server puts every field of a JSON request body and most arguments of its methods into span attributes, so
prompts and providers' keys would otherwise reach whoever can read traces. A filter of text is a second line of
defence: it knows the forms of keys that it was told about, and no others.
"""

from __future__ import annotations

from otel.config_context import Component, ConfigContext, Redaction

MASK = "[REDACTED]"

# Each of these is tried on every attribute of every span. It begins with fixed text, which is found many times
# faster than a choice of beginnings or either case; without its first letter that is the same for `Secret` and
# `secret`.

# Parts of names that say that the value is a credential.
_PAIR_NAMES = (
    *("pi[_-]?[kK](?:ey|EY)", "PI[_-]?[kK](?:ey|EY)"),
    *("ass[wW](?:or)?d", "ASS[wW](?:OR)?D"),
    *("ccess[_-]?[tT](?:oken|OKEN)", "CCESS[_-]?[tT](?:oken|OKEN)"),
    *("ecret", "ECRET"),
)
_NAMES = (*_PAIR_NAMES, "uthorization", "UTHORIZATION", "redential", "REDENTIAL")
_KEY_FORMS = (
    # OpenAI and Anthropic, Groq, Google.
    "sk-[A-Za-z0-9_-]{16,}",
    "gsk_[A-Za-z0-9]{16,}",
    "AIza[A-Za-z0-9_-]{30,}",
)
_MASKED: tuple[tuple[str, str], ...] = (
    *((form, MASK) for form in _KEY_FORMS),
    *((f"({word} )[A-Za-z0-9._~+/-]{{8,}}=*", f"${{1}}{MASK}") for word in ("earer", "EARER")),
    # Pairs in JSON, in Python's notation and in addresses.
    *((rf"""({name}["']?\s*[:=]\s*["']?)[^"'\s,;&}}\[][^"'\s,;&}}]*""", f"${{1}}{MASK}") for name in _PAIR_NAMES),
    (r"(://[^/:@\s]+:)[^/@\s]+@", f"${{1}}{MASK}@"),
)

# Numbers of tokens are no content, and are nowhere else.
_USAGE, _KEPT = 'attributes["parameter.usage"]', 'attributes["kept.usage"]'
_SPAN_CONTENT = (
    f"set({_KEPT}, {_USAGE}) where {_USAGE} != nil",
    # Bodies of requests, arguments of methods, what goes to models and comes from them.
    'delete_matching_keys(attributes, "^(http[.]request[.]body|parameter)[.]|^(request|response)_data$")',
    f"set({_USAGE}, {_KEPT}) where {_KEPT} != nil",
    'delete_key(attributes, "kept.usage")',
)
# The server records arguments and results of tools as events named after the tool, and models' as these.
_EVENT_CONTENT = (
    'delete_matching_keys(attributes, ".*")'
    ' where IsMatch(name, "^((start|finish)_.+_execution|llm_(request_sent|response_received))$")'
)


def transform(context: ConfigContext) -> Component:
    """Remove and mask in this order: what is removed needs no masking."""
    content = context.redaction is Redaction.CONTENT
    named = [f'delete_matching_keys(attributes, "{name}")' for name in _NAMES]
    span = [*_SPAN_CONTENT, *named] if content else named
    event = [_EVENT_CONTENT, *named] if content else named
    masks = [
        f'replace_all_patterns(attributes, "value", {_quoted(pattern)}, {_quoted(mask)})'
        for pattern, mask in _MASKED
    ]
    bodies = [f"replace_pattern(body, {_quoted(pattern)}, {_quoted(mask)})" for pattern, mask in _MASKED]
    status = [f"replace_pattern(status.message, {_quoted(pattern)}, {_quoted(mask)})" for pattern, mask in _MASKED]
    return {
        # A statement that fails on one record must not lose it.
        "error_mode": "ignore",
        "trace_statements": [
            {"context": "span", "statements": [*span, *masks, *status]},
            {"context": "spanevent", "statements": [*event, *masks]},
        ],
        "log_statements": [{"context": "log", "statements": [*named, *masks, *bodies]}],
    }


def _quoted(text: str) -> str:
    """A string of the transformation language."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
