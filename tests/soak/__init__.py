"""Many jobs in one backend process, good and bad, and what it holds meanwhile: ``python -m tests.soak --jobs 500``."""
