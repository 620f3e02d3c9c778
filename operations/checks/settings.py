"""Checks the settings of a stack: before an update, and for the doctor."""

from __future__ import annotations

from operations.checks.result import Check, broken, from_error, note, ok
from operations.console.errors import OperationError
from operations.stack.target import Target
from settings import SettingsError


def require_valid(target: Target) -> None:
    """Check the settings before anything is built or installed; the program checks them again.

    Of secrets that cannot be decrypted here, the program alone checks the values.

    Raises:
        OperationError: when the stack file, or a secret in it, was encrypted with another passphrase.
        settings.SettingsError: with every problem at once.
    """
    file, decrypter = target.stack_file, target.decrypter
    foreign = [
        key for key in sorted(file.secret_keys) if decrypter and not decrypter.decrypts(file.ciphertexts(key))
    ]
    if foreign:
        raise OperationError(
            f"a secret in {file.path.name} was encrypted with another passphrase than the file's salt",
            where=f"{', '.join(foreign)} in {file.path}",
            fix=[f"set it again: `pulumi config set --secret {key} --stack {target.stack}`" for key in foreign],
        )
    target.loaded.require()


def settings_check(target: Target) -> Check:
    """Report whether the settings are valid."""
    try:
        file = target.stack_file
        if not file.exists:
            return note("settings", f"{file.path.name} does not exist; all settings have their defaults")
        require_valid(target)
    except SettingsError as error:
        words = "; ".join(f"{one.key} {one.rule}" for one in error.problems)
        return broken("settings", words, *(one.fix for one in error.problems))
    except OperationError as error:
        return from_error("settings", error)
    return ok("settings", file.path.name)
