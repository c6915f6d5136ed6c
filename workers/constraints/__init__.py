"""Constraints as llguidance compiles them: for the front end's check and for the engines."""
