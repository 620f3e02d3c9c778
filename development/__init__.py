"""What people who change the project run: generated docs, locks, package refresh (`python -m development`)."""
