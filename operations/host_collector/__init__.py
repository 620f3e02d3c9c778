"""The collector on this machine, without Docker: `collector install` and `collector run`.

Its options from environment variables, its files in the state folder, and its tables in ClickHouse.
"""
