"""Removes credentials, and optionally what users and models wrote, from traces and logs.

The server puts every field of a JSON request body and most arguments of its methods into span attributes, so
prompts and providers' keys would otherwise reach everybody who can read traces. Filtering text is a second line of
defence: it recognises only the forms of keys that are listed here.
"""

from __future__ import annotations

from otel.config_context import Component, ConfigContext, Redaction

MASK = "[REDACTED]"

# Each of these patterns is matched against every attribute of every span. They begin with fixed text, which is
# many times faster than alternatives or ignoring case. The first letter of a word is left out, so that one pattern
# matches `Secret` and `secret`.

# Parts of names whose values are credentials.
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
    # Pairs of name and value in JSON, in Python's notation and in URLs.
    *((rf"""({name}["']?\s*[:=]\s*["']?)[^"'\s,;&}}\[][^"'\s,;&}}]*""", f"${{1}}{MASK}") for name in _PAIR_NAMES),
    (r"(://[^/:@\s]+:)[^/@\s]+@", f"${{1}}{MASK}@"),
)

# Token counts are not content, and are recorded nowhere else.
_USAGE, _KEPT = 'attributes["parameter.usage"]', 'attributes["kept.usage"]'
_SPAN_CONTENT = (
    f"set({_KEPT}, {_USAGE}) where {_USAGE} != nil",
    # Request bodies, method arguments, requests to models and their responses.
    'delete_matching_keys(attributes, "^(http[.]request[.]body|parameter)[.]|^(request|response)_data$")',
    f"set({_USAGE}, {_KEPT}) where {_KEPT} != nil",
    'delete_key(attributes, "kept.usage")',
)
# Events hold the arguments and results of tools, named after the tool, and those of models, with these names.
_EVENT_CONTENT = (
    'delete_matching_keys(attributes, ".*")'
    ' where IsMatch(name, "^((start|finish)_.+_execution|llm_(request_sent|response_received))$")'
)


def transform(context: ConfigContext) -> Component:
    """Remove first, then mask what is left."""
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
        # A record on which a statement fails must not be lost.
        "error_mode": "ignore",
        "trace_statements": [
            {"context": "span", "statements": [*span, *masks, *status]},
            {"context": "spanevent", "statements": [*event, *masks]},
        ],
        "log_statements": [{"context": "log", "statements": [*named, *masks, *bodies]}],
    }


def _quoted(text: str) -> str:
    """Return a string literal of OTTL, the language of these statements."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
