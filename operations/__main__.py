"""Entry point of `python -m operations`."""

import sys


def _main() -> None:
    if sys.platform == "win32":
        # Said here, because what comes next cannot even be imported there.
        sys.exit(
            "error: this does not run on Windows itself: it needs signals, and files whose modes keep secrets\n"
            "  do:    install the Windows Subsystem for Linux (`wsl --install`), and run it in there"
        )
    from operations.cli.main import main

    main()


if __name__ == "__main__":
    _main()
