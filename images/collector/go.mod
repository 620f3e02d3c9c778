module letta-platform.invalid/collector

go 1.26
