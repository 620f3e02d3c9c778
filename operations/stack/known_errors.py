"""What to do about errors of Pulumi and Docker whose messages do not say it."""

from __future__ import annotations

_FIXES: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("incorrect passphrase",),
        "the stack was created with another passphrase: use it with PULUMI_CONFIG_PASSPHRASE_FILE, or remove the "
        "line `encryptionsalt:` from Pulumi.{stack}.yaml and set its secrets again",
    ),
    (
        ("passphrase must be set",),
        'no passphrase in this shell: `eval "$(make -s env STACK={stack})"`',
    ),
    (
        ("stack is currently locked",),
        "another update of this stack runs, or one was killed: wait for it, or if there is none, "
        "`pulumi cancel --stack {stack}`",
    ),
    (
        ("port is already allocated", "address already in use", "ports are not available"),
        "another process holds a port of the stack: `make doctor STACK={stack}` says which",
    ),
    (("no space left on device",), "the disk is full: `make clean`, `docker system df`"),
    (
        ("Pool overlaps with other one", "non-overlapping IPv4 address pool", "all predefined address pools"),
        "the engine has no free subnet left: set one, for example "
        "`pulumi config set networkSubnet 10.77.0.0/24 --stack {stack}`",
    ),
    (
        ("Cannot connect to the Docker daemon", "dial unix", "error during connect"),
        "no Docker engine answers: `make doctor STACK={stack}`",
    ),
    (
        ("certificate signed by unknown authority", "CERTIFICATE_VERIFY_FAILED", "self-signed certificate"),
        "a certificate is not trusted: set its CA bundle, for image builds with `pulumi config set caBundle "
        "/path/ca.pem --stack {stack}`, for telemetry endpoints with telemetryCaBundle",
    ),
    (
        ("no resource plugin", "failed to discover plugin", "Could not automatically download"),
        "a Pulumi plugin is missing: `make toolchain`",
    ),
    (
        ("a later version has left",),
        "the collector that ran before has not delivered everything: put it back with `pulumi config rm "
        "collectorVersion --stack {stack}` and `make up STACK={stack}`, and change the version when "
        "otelcol_exporter_queue_size is 0 in each collector's metrics",
    ),
    (("OOMKilled", "exit code 137"), "a service ran out of memory: raise its `…MemoryMb` setting"),
    (
        ("is protected",),
        "protected stacks keep their data: `make down STACK={stack}` says how to remove the protection",
    ),
)


def fixes(output: str, stack: str) -> tuple[str, ...]:
    """Return what to do about the known errors in an output, each once."""
    low = output.lower()
    return tuple(
        text.replace("{stack}", stack)
        for messages, text in _FIXES
        if any(message.lower() in low for message in messages)
    )
