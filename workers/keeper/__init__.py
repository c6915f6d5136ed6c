"""The keeper: what must happen when nobody is there to do it, one duty a module."""
