"""The variables that server 0.16.8 documents: which values it starts with, and which it must not be given.

Data only. What the platform sets itself, or has a setting for, is in `server_environment`. Names are in capitals:
the server reads its settings without regard to case. Longer than other files because it is one table.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from catalogue import MACHINE
from settings import addresses


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """What a variable's value must be."""

    rule: str
    """As the end of a sentence."""
    accepts: Callable[[str], bool]


TRUE = frozenset({"true", "t", "yes", "y", "on", "1"})
_FALSE = frozenset({"false", "f", "no", "n", "off", "0"})


def _number(value: str, *, whole: bool) -> float:
    """Return a number; NaN for a text that is none, and for what is too long to be one."""
    form = r"[+-]?\d{1,15}" if whole else r"[+-]?(\d{1,15}(\.\d{0,15})?|\.\d{1,15})([eE][+-]?\d{1,2})?"
    return float(value) if re.fullmatch(form, value, re.ASCII) else math.nan


def _whole(least: int = 0, most: int = 2**31 - 1) -> Form:
    limits = f"from {least} to {most}" if most < 2**31 - 1 else f"of at least {least}"
    return Form(
        rule=f"must be a whole number {limits}",
        accepts=lambda value: least <= _number(value, whole=True) <= most,
    )


def _decimal(least: float = 0, most: float = math.inf) -> Form:
    limits = f"from {least:g} to {most:g}" if most < math.inf else f"of at least {least:g}"
    return Form(
        rule=f"must be a number {limits}", accepts=lambda value: least <= _number(value, whole=False) <= most
    )


def _only(values: frozenset[str], reason: str) -> Form:
    return Form(rule=reason, accepts=lambda value: value.lower() in values)


def _off(reason: str) -> Form:
    return _only(_FALSE, f"must be false: {reason}")


def _on(reason: str) -> Form:
    return _only(TRUE, f"must be true: {reason}")


def _is_list_of_origins(value: str) -> bool:
    try:
        origins = json.loads(value)
    except (ValueError, RecursionError):
        return False
    return isinstance(origins, list) and all(isinstance(one, str) and "*" not in one for one in origins)


def is_reachable(value: str) -> bool:
    """Whether a text is a URL over HTTP that a container may reach."""
    try:
        parts = urlsplit(value)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        return valid and not re.search(r"\s", value) and addresses.refusal(value) is None
    except ValueError:
        return False


_FLAG = _only(TRUE | _FALSE, "must be true or false")
_TEXT = Form(rule="", accepts=lambda value: True)  # noqa: ARG005
_SHARE = _decimal(0, 1)
_URL = Form(
    rule=(
        "must be a URL that the container reaches, such as http://host.example:8000/v1: no IPv6 address, and not "
        f"localhost, which is the container itself (this machine is {MACHINE})"
    ),
    accepts=is_reachable,
)
_BASE_URL = Form(
    rule=f"{_URL.rule}; without a slash at its end, to which the server appends paths",
    accepts=lambda value: is_reachable(value) and not value.endswith("/"),
)
_LM_STUDIO = Form(
    rule=f"{_BASE_URL.rule}; before /v1 it must not end in 1 or v, which the server cuts off",
    accepts=lambda value: is_reachable(value) and value.removesuffix("/v1")[-1] not in "/v1",
)
_PROXY = Form(
    rule=(
        "must be the URL of an HTTP proxy that the container reaches, such as http://proxy.example:3128: no "
        f"SOCKS, and not localhost, which is the container itself (this machine is {MACHINE})"
    ),
    accepts=is_reachable,
)
_FOLDER = Form(
    rule="must be an absolute path below /var/lib/letta or /tmp, without ..: the server can write nowhere else",
    accepts=lambda value: bool(re.fullmatch(r"(/var/lib/letta|/tmp)(/[A-Za-z0-9_][A-Za-z0-9._-]*)+", value)),
)
_ORIGINS = Form(
    rule='must be a JSON list of origins without *, such as ["https://chat.example"]',
    accepts=_is_list_of_origins,
)


def _left_out(what: str) -> str:
    return f"cannot be used: it needs {what}, which the image leaves out"


def _elsewhere(what: str) -> str:
    return f"cannot be used: it sends {what}"


_UNREAD = "is read by nothing: the server has such a setting, and no code that uses it"
_PINECONE = _left_out("the library of Pinecone")
_TURBOPUFFER = _left_out("the library of turbopuffer")
_BEDROCK = _left_out("AWS' libraries (boto3, aioboto3)")
_E2B = _elsewhere("tools and the server's secrets to E2B, whose library the image leaves out as well")
_MODAL = _elsewhere("tools and the server's secrets to Modal, whose library the image leaves out as well")
_ORCHESTRATOR = _elsewhere("agents' steps to another service, and takes credentials for tools from it")
_NO_FILES = "cannot be used: it names a file, and none of yours is in the container"
_CERTIFICATES = f"{_NO_FILES} (letta:telemetryCaBundle is what a server that reads traces back trusts)"
_CODE = "cannot be used: it makes the server load other code or settings than the image's"
_DATADOG = "must be a host that the container reaches: not localhost, which is the container itself"

REFUSED: Mapping[str, str] = {
    "SENTRY_DSN": _elsewhere("errors, with what was in memory, to Sentry"),
    "STEP_ORCHESTRATOR_ENDPOINT": _ORCHESTRATOR,
    "STEP_COMPLETE_WEBHOOK": _ORCHESTRATOR,
    "STEP_COMPLETE_KEY": _ORCHESTRATOR,
    "E2B_API_KEY": _E2B,
    "E2B_SANDBOX_TEMPLATE_ID": _E2B,
    "MODAL_TOKEN_ID": _MODAL,
    "MODAL_TOKEN_SECRET": _MODAL,
    "AWS_ACCESS_KEY_ID": _BEDROCK,
    "AWS_SECRET_ACCESS_KEY": _BEDROCK,
    "BEDROCK_ANTHROPIC_VERSION": _BEDROCK,
    "LETTA_PINECONE_API_KEY": _PINECONE,
    "LETTA_TPUF_API_KEY": _TURBOPUFFER,
    "TOOL_EXEC_VENV_NAME": _left_out("pip"),
    "LETTA_PLUGIN_REGISTER": _CODE,
    "MEMGPT_CONFIG_PATH": _CODE,
    "LETTA_VERSION": "cannot be used: the server would report another version than its own",
    "TELEMETRY_SOCKET": "cannot be used: there is no such socket in the container",
    "SOCKET_PATH": "cannot be used: there is no such socket in the container",
    "SSL_CERT_FILE": _CERTIFICATES,
    "SSL_CERT_DIR": _CERTIFICATES,
    "REQUESTS_CA_BUNDLE": _CERTIFICATES,
    "CURL_CA_BUNDLE": _CERTIFICATES,
    "GOOGLE_APPLICATION_CREDENTIALS": _NO_FILES,
    "AWS_CONFIG_FILE": _NO_FILES,
    "AWS_SHARED_CREDENTIALS_FILE": _NO_FILES,
    "FIREWORKS_API_KEY": _UNREAD,
    "FIREWORKS_API_BASE": _UNREAD,
    "LETTA_POOL_USE_LIFO": _UNREAD,
    "LETTA_DB_MAX_CONCURRENT_SESSIONS": _UNREAD,
    "LETTA_OBJECT_STORE_URI": _UNREAD,
    "LETTA_OBJECT_STORE_PROJECT": _UNREAD,
    "LETTA_EVENT_LOOP_THREADPOOL_MAX_WORKERS": _UNREAD,
    "LETTA_DEFAULT_BASE_URL": _UNREAD,
    "LETTA_DEFAULT_TOKEN": _UNREAD,
    "LETTA_USE_LETTA_V1_AGENT": _UNREAD,
    "LETTA_LLM_API_LOGGING": _UNREAD,
}
"""Variables that cannot be set to anything: why, as the end of a sentence."""

FORMS: Mapping[str, Form] = {
    # Local tools and MCP.
    "TAVILY_API_KEY": _TEXT,
    "EXA_API_KEY": _TEXT,
    "TOOL_EXEC_DIR": _FOLDER,
    "TOOL_SANDBOX_TIMEOUT": _decimal(),
    "TOOL_EXEC_AUTORELOAD_VENV": _FLAG,
    "MCP_CONNECT_TO_SERVER_TIMEOUT": _decimal(),
    "MCP_LIST_TOOLS_TIMEOUT": _decimal(),
    "MCP_EXECUTE_TOOL_TIMEOUT": _decimal(),
    "MCP_READ_FROM_CONFIG": _off("there is no such file in the container"),
    "MCP_DISABLE_STDIO": _on("otherwise clients of the API start commands in the server's container"),
    # Summaries.
    "LETTA_SUMMARIZER_MODE": _only(
        frozenset({"static_message_buffer_mode", "partial_evict_message_buffer_mode"}),
        "must be static_message_buffer_mode or partial_evict_message_buffer_mode",
    ),
    "LETTA_SUMMARIZER_MESSAGE_BUFFER_LIMIT": _whole(),
    "LETTA_SUMMARIZER_MESSAGE_BUFFER_MIN": _whole(),
    "LETTA_SUMMARIZER_ENABLE_SUMMARIZATION": _FLAG,
    "LETTA_SUMMARIZER_MAX_SUMMARIZATION_RETRIES": _whole(),
    "LETTA_SUMMARIZER_PARTIAL_EVICT_SUMMARIZER_PERCENTAGE": _SHARE,
    "LETTA_SUMMARIZER_EVICT_ALL_MESSAGES": _FLAG,
    "LETTA_SUMMARIZER_MAX_SUMMARIZER_RETRIES": _whole(),
    "LETTA_SUMMARIZER_MEMORY_WARNING_THRESHOLD": _SHARE,
    "LETTA_SUMMARIZER_SEND_MEMORY_WARNING_MESSAGE": _FLAG,
    "LETTA_SUMMARIZER_DESIRED_MEMORY_TOKEN_PRESSURE": _SHARE,
    "LETTA_SUMMARIZER_KEEP_LAST_N_MESSAGES": _whole(),
    # Models.
    "GLOBAL_MAX_CONTEXT_WINDOW_LIMIT": _whole(1),
    "AUTO_MODE_ENABLED": _FLAG,
    "INNER_THOUGHTS_KWARG": _TEXT,
    "DEFAULT_PROMPT_FORMATTER": _TEXT,
    "OPENROUTER_API_KEY": _TEXT,
    "OPENROUTER_REFERER": _TEXT,
    "OPENROUTER_TITLE": _TEXT,
    "OPENROUTER_HANDLE_BASE": _TEXT,
    "DEEPSEEK_API_KEY": _TEXT,
    "BASETEN_API_KEY": _TEXT,
    "XAI_API_KEY": _TEXT,
    "ZAI_API_KEY": _TEXT,
    "ZAI_BASE_URL": _URL,
    "MINIMAX_API_KEY": _TEXT,
    "AWS_DEFAULT_REGION": _TEXT,
    "ANTHROPIC_MAX_RETRIES": _whole(),
    "ANTHROPIC_SONNET_1M": _FLAG,
    "ANTHROPIC_OPUS_1M": _FLAG,
    "GEMINI_FORCE_MINIMUM_THINKING_BUDGET": _FLAG,
    "GEMINI_MAX_RETRIES": _whole(),
    "GEMINI_TIMEOUT_SECONDS": _decimal(),
    "GOOGLE_CLOUD_PROJECT": _TEXT,
    "GOOGLE_CLOUD_LOCATION": _TEXT,
    "TOGETHER_API_KEY": _TEXT,
    "OPENLLM_AUTH_TYPE": _TEXT,
    "OPENLLM_API_KEY": _TEXT,
    "VLLM_HANDLE_BASE": _TEXT,
    "SGLANG_API_BASE": _BASE_URL,
    "SGLANG_HANDLE_BASE": _TEXT,
    "LMSTUDIO_BASE_URL": _LM_STUDIO,
    "LETTA_DEFAULT_LLM_HANDLE": _TEXT,
    "LETTA_DEFAULT_EMBEDDING_HANDLE": _TEXT,
    "LETTA_MISTRAL_API_KEY": _TEXT,
    "LETTA_LLM_REQUEST_TIMEOUT_SECONDS": _decimal(10, 1800),
    "LETTA_LLM_STREAM_TIMEOUT_SECONDS": _decimal(10, 1800),
    "LETTA_USE_VERTEX_STRUCTURED_OUTPUTS_EXPERIMENTAL": _FLAG,
    # Requests and streams.
    "ACCEPTABLE_ORIGINS": Form(
        rule="must be origins separated by commas, without *, which would let every web page use the API",
        accepts=lambda value: "*" not in value,
    ),
    "LETTA_CORS_ORIGINS": _ORIGINS,
    "LETTA_ENABLE_KEEPALIVE": _FLAG,
    "LETTA_KEEPALIVE_INTERVAL": _decimal(),
    "LETTA_ENABLE_CANCELLATION_AWARE_STREAMING": _FLAG,
    "LETTA_USE_ASYNCIO_SHIELD": _FLAG,
    "LOCAL_HTTPS": _off("nginx reaches the server without TLS"),
    # Agents, files, jobs.
    "LETTA_NO_DEFAULT_ACTOR": _off("requests without user and the sandbox's configuration need the default user"),
    "LETTA_TRACK_AGENT_RUN": _on("without runs, messages to agents fail"),
    "LETTA_TRACK_LAST_AGENT_RUN": _FLAG,
    "LETTA_TRACK_ERRORED_MESSAGES": _FLAG,
    "LETTA_TRACK_STOP_REASON": _FLAG,
    "LETTA_MULTI_AGENT_SEND_MESSAGE_MAX_RETRIES": _whole(),
    "LETTA_MULTI_AGENT_SEND_MESSAGE_TIMEOUT": _whole(),
    "LETTA_MULTI_AGENT_CONCURRENT_SENDS": _whole(1),
    "LETTA_ARCHIVAL_MEMORY_TOKEN_LIMIT": _whole(1),
    "LETTA_MEMFS_SERVICE_URL": _BASE_URL,
    "LETTA_FILE_PROCESSING_TIMEOUT_MINUTES": _whole(1),
    "LETTA_FILE_PROCESSING_TIMEOUT_ERROR_MESSAGE": _TEXT,
    "LETTA_USE_LETTUCE_FOR_FILE_UPLOADS": _off("the image leaves out Temporal's library"),
    "LETTA_ENABLE_BATCH_JOB_POLLING": _FLAG,
    "LETTA_POLL_RUNNING_LLM_BATCHES_INTERVAL_SECONDS": _whole(1),
    "LETTA_POLL_LOCK_RETRY_INTERVAL_SECONDS": _whole(1),
    "LETTA_BATCH_JOB_POLLING_LOOKBACK_WEEKS": _whole(1),
    "LETTA_BATCH_JOB_POLLING_BATCH_SIZE": _whole(1),
    "LETTA_ENABLE_PINECONE": _off("the image leaves out Pinecone's library"),
    "LETTA_UPSERT_PINECONE_INDICES": _off("the image leaves out Pinecone's library"),
    "LETTA_PINECONE_SOURCE_INDEX": _TEXT,
    "LETTA_PINECONE_AGENT_INDEX": _TEXT,
    "LETTA_USE_TPUF": _off("the image leaves out turbopuffer's library"),
    "LETTA_TPUF_REGION": _TEXT,
    "LETTA_EMBED_ALL_MESSAGES": _FLAG,
    "LETTA_EMBED_TOOLS": _FLAG,
    # The process.
    "LETTA_USE_UVLOOP": _off("the image leaves out uvloop"),
    "LETTA_USE_GRANIAN": _off("the image leaves out Granian"),
    "LETTA_POOL_PRE_PING": _FLAG,
    "LETTA_ENABLE_DB_POOL_MONITORING": _FLAG,
    "LETTA_DB_POOL_MONITORING_INTERVAL": _whole(1),
    # Telemetry.
    "LETTA_DISABLE_TRACING": _FLAG,
    "LETTA_SQLALCHEMY_TRACING": _FLAG,
    "LETTA_TRACK_PROVIDER_TRACE": _FLAG,
    "LETTA_STORE_LLM_TRACES": _off("nothing creates the table that it writes to"),
    "LETTA_TELEMETRY_PROVIDER_TRACE_BACKEND": _only(
        frozenset({"postgres"}), "must be postgres: nothing in the stack takes what the others write"
    ),
    "LETTA_TELEMETRY_PROVIDER_TRACE_PG_METADATA_ONLY": _FLAG,
    "LETTA_TELEMETRY_SOURCE": _TEXT,
    "LETTA_TELEMETRY_ENABLE_DATADOG": _FLAG,
    "LETTA_TELEMETRY_DATADOG_AGENT_HOST": Form(
        rule=_DATADOG, accepts=lambda value: not addresses.is_loopback(value) and ":" not in value
    ),
    "LETTA_TELEMETRY_DATADOG_AGENT_PORT": _whole(1, 65535),
    "LETTA_TELEMETRY_DATADOG_SERVICE_NAME": _TEXT,
    "LETTA_TELEMETRY_DATADOG_PROFILING_ENABLED": _FLAG,
    "LETTA_TELEMETRY_DATADOG_PROFILING_MEMORY_ENABLED": _FLAG,
    "LETTA_TELEMETRY_DATADOG_PROFILING_HEAP_ENABLED": _FLAG,
    "LETTA_READINESS_ENFORCEMENT_ENABLED": _FLAG,
    "LETTA_READINESS_DRAIN_RETURNS_503": _FLAG,
    "LETTA_READINESS_EVENT_LOOP_LAG_GATING_ENABLED": _FLAG,
    "LETTA_READINESS_EVENT_LOOP_LAG_THRESHOLD_MS": _decimal(100),
    "LETTA_READINESS_FG_IN_FLIGHT_GATING_ENABLED": _FLAG,
    "LETTA_READINESS_FG_IN_FLIGHT_THRESHOLD": _whole(1),
    "LETTA_READINESS_BG_IN_FLIGHT_GATING_ENABLED": _FLAG,
    "LETTA_READINESS_BG_IN_FLIGHT_THRESHOLD": _whole(1),
    "LETTA_READINESS_ADMISSION_WAIT_GATING_ENABLED": _FLAG,
    "LETTA_READINESS_ADMISSION_WAIT_THRESHOLD_MS": _decimal(10),
    "LETTA_READINESS_DEGRADED_STABILIZATION_SECONDS": _decimal(),
    "LETTA_READINESS_RECOVERY_STABILIZATION_SECONDS": _decimal(),
    # What every program's HTTP clients read.
    "HTTP_PROXY": _PROXY,
    "HTTPS_PROXY": _PROXY,
    "ALL_PROXY": _PROXY,
}
"""Variables that users may set, and what their values must be."""
