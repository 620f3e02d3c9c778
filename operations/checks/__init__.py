"""Checks of the machine, the network and the stack; `make up` runs the quick ones, `make doctor` all."""
