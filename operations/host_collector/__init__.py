"""The collector on this machine, without Docker: `collector install`, `collector run`."""
