"""How the tools get onto a machine: Docker engine, Pulumi with its plugins, the Debian base image, the collector.

`install.ensure` installs what is missing; `environment.shell_environment` returns the variables needed to use it.
Versions are in `versions.toml`. `bootstrap.sh` runs before all of this: it creates the `.venv` that this package
runs in. `operations` decides what is done with the tools.
"""
