"""How the tools get onto a machine: Docker engine, Pulumi with its plugins, the Debian base image, the collector.

`install.ensure` brings what is missing, `environment.shell_environment` says how to use it. Versions are in
`versions.toml`. `bootstrap.sh` comes before all of this: it makes the `.venv` that this package runs in. What is
done *with* the tools is the business of `operations`.
"""
