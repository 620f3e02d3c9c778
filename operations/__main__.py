"""Entry point of `python -m operations`."""

import sys


def _main() -> None:
    if sys.platform == "win32":
        # Before the next import, which fails on Windows.
        sys.exit(
            "error: this does not run on Windows itself: it needs signals, and file modes that protect secrets\n"
            "  do:    install the Windows Subsystem for Linux (`wsl --install`), and run it there"
        )
    from operations.cli.main import main

    main()


if __name__ == "__main__":
    _main()
