"""What developers of the project run: generated docs, locks, package refresh (`python -m development`)."""
