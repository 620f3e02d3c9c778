"""A Docker engine as operations see it: a narrow protocol, and its implementation with the Docker SDK."""
