"""The benchmark: `python -m tests.bench`, one module a framework."""
