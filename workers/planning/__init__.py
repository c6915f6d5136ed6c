"""The models of this installation: as settings have them, and the memory that they take."""
