"""Stand-ins and detectors for the tests: an LLM, span files, secret canaries, free ports."""
