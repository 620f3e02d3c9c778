"""The command line: one module per group of verbs, each with an app of its own that `main` adds.

A module declares options and help; the rooms below do the work. Imports happen inside the verbs, so that each pays
only for what it uses.
"""
