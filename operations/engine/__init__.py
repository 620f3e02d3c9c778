"""A Docker engine as operations use it: a narrow protocol, and its implementation with the Docker SDK."""
