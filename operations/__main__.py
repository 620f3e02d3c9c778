"""Entry point of `python -m operations`."""

from operations.command_line import main

if __name__ == "__main__":
    main()
