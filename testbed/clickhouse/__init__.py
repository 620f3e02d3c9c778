"""A ClickHouse server for tests: a real engine behind the HTTP interface that clients use."""
