"""What callers may send: one marshmallow schema per endpoint, loaded into frozen dataclasses."""
