"""The keeper: what must happen though the process that would do it died; one duty a module."""
