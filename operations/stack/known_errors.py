"""What to do about messages of Pulumi and Docker that do not say it themselves."""

from __future__ import annotations

_HINTS: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("incorrect passphrase",),
        "the stack was made with another passphrase: give it in PULUMI_CONFIG_PASSPHRASE_FILE, or remove the line "
        "`encryptionsalt:` from Pulumi.{stack}.yaml and set its secrets again",
    ),
    (
        ("passphrase must be set",),
        'no passphrase in this shell: `eval "$(make -s env STACK={stack})"`',
    ),
    (
        ("stack is currently locked", "the stack is currently locked"),
        "another update of this stack runs, or one was killed: wait for it, or if there is none, "
        "`pulumi cancel --stack {stack}`",
    ),
    (
        ("port is already allocated", "address already in use", "ports are not available"),
        "somebody else holds a port of the stack: `make doctor STACK={stack}` says who",
    ),
    (("no space left on device",), "the disk is full: `make clean`, `docker system df`"),
    (
        ("Pool overlaps with other one", "non-overlapping IPv4 address pool", "all predefined address pools"),
        "the engine has no free subnet left: give one, for example "
        "`pulumi config set networkSubnet 10.77.0.0/24 --stack {stack}`",
    ),
    (
        ("Cannot connect to the Docker daemon", "dial unix", "error during connect"),
        "no Docker engine answers: `make doctor STACK={stack}`",
    ),
    (
        ("certificate signed by unknown authority", "CERTIFICATE_VERIFY_FAILED", "self-signed certificate"),
        "a certificate is not trusted: give its authority, for image builds by `pulumi config set caBundle "
        "/path/ca.pem --stack {stack}`, for telemetry endpoints as telemetryCaBundle",
    ),
    (
        ("no resource plugin", "failed to discover plugin", "Could not automatically download"),
        "a Pulumi plugin is missing: `make toolchain`",
    ),
    (("OOMKilled", "exit code 137"), "a service ran out of memory: raise its `…MemoryMb` setting"),
    (
        ("is protected", "cannot be deleted\nbecause it is protected"),
        "protected stacks keep their data: see `make down STACK={stack}` for the way",
    ),
)


def hints(output: str, stack: str) -> tuple[str, ...]:
    """Give what to do about the known messages in an output, each once."""
    low = output.lower()
    return tuple(
        text.replace("{stack}", stack)
        for messages, text in _HINTS
        if any(message.lower() in low for message in messages)
    )
